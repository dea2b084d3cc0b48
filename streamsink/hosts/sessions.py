"""Where an agent's session waits between the turns of a conversation."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent_framework import AgentSession

__all__ = ["MemorySessions", "Sessions"]


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
