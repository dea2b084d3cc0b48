"""Where an agent's session waits between the turns of a conversation."""

from __future__ import annotations

import asyncio
import copy
import json
from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from streamsink.core.documents import KeepsDocuments
from streamsink.core.errors import TooLargeError, UnavailableError
from streamsink.core.runtime import Runtime

if TYPE_CHECKING:
    from agent_framework import AgentSession

    from streamsink.core.sink import StreamSink

__all__ = ["MemorySessions", "Sessions", "StoredSessions", "sessions_for"]

_MAX_BYTES: Final = 16_777_216
_FIRST_RETRY_S: Final = 0.1
_LONGEST_RETRY_S: Final = 2.0


def sessions_for(sink: StreamSink) -> Sessions:
    """Sessions where the sink's timeline keeps them for every node; otherwise in this process."""
    documents = sink.ability(KeepsDocuments)
    if documents is None:
        return MemorySessions()
    return StoredSessions(documents, give_up_s=sink.options.give_up_s, runtime=sink.runtime)


class Sessions(ABC):
    """Sessions by thread and agent. What ``get`` returns is the caller's own copy."""

    @abstractmethod
    async def get(self, thread: str, agent: str) -> AgentSession | None:
        """The session as it was last put, or None."""

    @abstractmethod
    async def put(self, thread: str, agent: str, session: AgentSession) -> None:
        """Keep the session for the next turn."""

    @abstractmethod
    async def delete(self, thread: str) -> None:
        """Forget the sessions of every agent of the thread."""


class MemorySessions(Sessions):
    """Sessions of one process.

    Args:
        max_sessions: how many are kept; the least recently used are forgotten first.
    """

    def __init__(self, *, max_sessions: int = 10_000) -> None:
        self._max_sessions = max_sessions
        self._sessions: OrderedDict[tuple[str, str], AgentSession] = OrderedDict()

    async def get(self, thread: str, agent: str) -> AgentSession | None:
        session = self._sessions.get((thread, agent))
        if session is None:
            return None
        self._sessions.move_to_end((thread, agent))
        return copy.deepcopy(session)

    async def put(self, thread: str, agent: str, session: AgentSession) -> None:
        self._sessions[thread, agent] = copy.deepcopy(session)
        self._sessions.move_to_end((thread, agent))
        while len(self._sessions) > self._max_sessions:
            self._sessions.popitem(last=False)

    async def delete(self, thread: str) -> None:
        for key in [key for key in self._sessions if key[0] == thread]:
            del self._sessions[key]


class StoredSessions(Sessions):
    """Sessions beside their thread's timeline, as JSON; they are deleted with the thread.

    Args:
        documents: the store.
        give_up_s: how long an unreachable store is tried when a session is put: the answer is there by then.
        runtime: for jitter.
    """

    def __init__(self, documents: KeepsDocuments, *, give_up_s: float = 30.0, runtime: Runtime | None = None) -> None:
        self._documents = documents
        self._give_up_s = give_up_s
        self._runtime = runtime or Runtime()

    async def get(self, thread: str, agent: str) -> AgentSession | None:
        from agent_framework import AgentSession

        document = await self._documents.get_document(thread, agent)
        return None if document is None else AgentSession.from_dict(json.loads(document))

    async def put(self, thread: str, agent: str, session: AgentSession) -> None:
        """As :meth:`Sessions.put`.

        Raises:
            TooLargeError: the session would be larger than 16 MiB.
            ThreadDeletedError: the thread was deleted meanwhile.
            UnavailableError: the store could not be reached in time.
        """
        document = json.dumps(session.to_dict()).encode()
        if len(document) > _MAX_BYTES:
            raise TooLargeError(f"the session of an agent should fit into {_MAX_BYTES} bytes")
        await self._persist(thread, agent, document)

    async def _persist(self, thread: str, agent: str, document: bytes) -> None:
        loop, delay_s = asyncio.get_running_loop(), _FIRST_RETRY_S
        give_up_at = loop.time() + self._give_up_s
        while True:
            try:
                await self._documents.put_document(thread, agent, document)
            except UnavailableError:
                if loop.time() + delay_s > give_up_at:
                    raise
            else:
                return
            await asyncio.sleep(self._runtime.jittered(delay_s))
            delay_s = min(delay_s * 2, _LONGEST_RETRY_S)

    async def delete(self, thread: str) -> None:
        """They have gone with the thread."""
