"""What is meant for a connection that another node has, done there, and acknowledged.

A node listens on a channel of its own. Who may publish there may move connections between groups and close them:
letters are trusted as much as the Redis is, and Redis' own access rules are what keeps others out. Every request may
come twice; doing it again changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from streamsink.backends.redis import letters
from streamsink.backends.redis.letters import Answer, Join, Leave, Letter, Question, Request
from streamsink.backends.redis.scripts import Script
from streamsink.core.errors import ConnectionGoneError, ForbiddenError, StreamSinkError, UnavailableError
from streamsink.core.runtime import Runtime, TaskOwner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.backends.redis.channels import Listener
    from streamsink.backends.redis.keys import Keys

__all__ = ["Listens", "Local", "Nodes", "RunsScripts"]

_log = logging.getLogger("streamsink")

# A script like all others, so that letters share round trips. Answers how many clients listen.
_SEND: Final = Script.of("return redis.call('SPUBLISH', KEYS[1], ARGV[1])")
_LOST: Final = Answer("lost")
_UNHEARD: Final = Answer("unheard")
# A node whose connection was cut listens again sooner than all of this, since it waits for two seconds at most between
# two tries (subscriber.py); one that has died does not.
_RECONNECTING_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
_ERRORS: Final[dict[str, tuple[type[StreamSinkError], str]]] = {
    ConnectionGoneError.code: (ConnectionGoneError, "there is no such connection"),
    ForbiddenError.code: (ForbiddenError, "this connection belongs to somebody else"),
}
_UNABLE: Final = (UnavailableError, "the connection's node cannot do that now; try again")


class Listens(Protocol):
    """What is needed of the subscriber."""

    @property
    def is_connected(self) -> bool:
        """Whether it hears anything, as far as one knows."""
        ...

    async def listen(self, channel: bytes, listener: Listener) -> None:
        """Return when the next message of the channel reaches the listener.

        Raises:
            UnavailableError: it does not listen.
        """
        ...

    def unlisten(self, channel: bytes, listener: Listener) -> None:
        """Have the listener hear nothing more."""
        ...


class RunsScripts(Protocol):
    """What is needed of the store."""

    async def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Any] = ()) -> Any:
        """What the script answers.

        Raises:
            UnavailableError: nothing.
        """
        ...


class Local(Protocol):
    """What a node does with the connections that it has. Each may be asked for again, and may be cancelled."""

    async def join(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        """As :meth:`Delivery.join`."""
        ...

    async def leave(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        """As :meth:`Delivery.leave`."""
        ...

    async def close(self, connection_id: str, error: str | None) -> None:
        """End a connection.

        Raises:
            ConnectionGoneError: there is none.
        """
        ...


class Nodes:
    """One node among those that share a Redis.

    Args:
        store: publishes letters.
        subscriber: hears them.
        keys: the names of channels.
        node_id: this node's; no other's.
        local: does what this node is asked for.
        runtime: makes ids.
        timeout_s: for a request: who asks waits so long, and who is asked tries so long.
        max_at_once: requests of other nodes under way; past that they are answered unavailable, and past twice
            that not at all.
    """

    def __init__(
        self,
        store: RunsScripts,
        subscriber: Listens,
        keys: Keys,
        *,
        node_id: str,
        local: Local,
        runtime: Runtime | None = None,
        timeout_s: float = 5.0,
        max_at_once: int = 1_000,
    ) -> None:
        self._store = store
        self._subscriber = subscriber
        self._keys = keys
        self._node_id = node_id
        self._local = local
        self._new_id = (runtime or Runtime()).new_id
        self._timeout_s = timeout_s
        self._max_at_once = max_at_once
        self._tasks = TaskOwner()
        self._at_once = 0
        self._asked: dict[str, asyncio.Future[Answer]] = {}
        self._is_closed = False

    async def start(self) -> None:
        """Listen; returns when other nodes reach this one. To be done before it has connections.

        Raises:
            UnavailableError: it cannot listen.
        """
        await self._subscriber.listen(self._keys.node(self._node_id), self)

    async def ask(self, node_id: str, request: Request) -> None:
        """Have a node do something with a connection that it has; returns when that is done.

        Raises:
            ConnectionGoneError: it has none such, or nobody listens there for a while: the node is gone.
            ForbiddenError: it is somebody else's.
            UnavailableError: it cannot, or did not answer; it may have been done, and may be asked for again.
            TooLargeError: more than a letter holds.
        """
        if node_id == self._node_id:
            await self._do(request)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._answer(node_id, request)
        except TimeoutError:
            raise UnavailableError("the connection's node did not answer in time") from None
        if answer.error is not None:
            kind, text = _ERRORS.get(answer.error, _UNABLE)
            raise kind(text)

    async def _answer(self, node_id: str, request: Request) -> Answer:
        waits_s = iter(_RECONNECTING_S)
        while (answer := await self._ask_once(node_id, request)) in (_LOST, _UNHEARD):
            if answer is _UNHEARD:
                wait_s = next(waits_s, None)
                if wait_s is None:
                    raise self._absence()
                await asyncio.sleep(wait_s)
        return answer

    def _absence(self) -> StreamSinkError:
        """What it means that nobody listens. What has cut off this node may have cut off that one as well."""
        if self._subscriber.is_connected:
            return ConnectionGoneError("the node of this connection is gone")
        return UnavailableError("the connection's node cannot be reached now; try again")

    async def _ask_once(self, node_id: str, request: Request) -> Answer:
        if self._is_closed:
            raise UnavailableError("this node is closed")
        question = Question(self._new_id(), self._node_id, request)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[question.id] = answer
        try:
            if not await self._send(node_id, question):
                return _UNHEARD
            return await answer
        finally:
            del self._asked[question.id]

    async def _send(self, node_id: str, letter: Letter) -> int:
        receivers: int = await self._store.run(_SEND, [self._keys.node(node_id)], [letters.encode(letter)])
        return receivers

    def on_messages(self, payloads: Sequence[bytes]) -> None:
        """Take in letters; what is none is ignored."""
        for letter in map(letters.decode, payloads):
            self._read(letter)

    def _read(self, letter: Letter | None) -> None:
        if isinstance(letter, Answer):
            _settle(self._asked.get(letter.id), letter)
        elif isinstance(letter, Question) and not self._is_closed:
            self._take(letter)

    def on_gap(self) -> None:
        """Answers may have been lost: what waits for one asks again."""
        for answer in self._asked.values():
            _settle(answer, _LOST)

    def _take(self, question: Question) -> None:
        if self._at_once >= 2 * self._max_at_once:
            return
        is_too_much = self._at_once >= self._max_at_once
        self._at_once += 1
        task = self._tasks.start(self._reply(question, is_too_much=is_too_much), name="streamsink letter")
        task.add_done_callback(self._count_down)

    def _count_down(self, _: object) -> None:
        self._at_once -= 1

    async def _reply(self, question: Question, *, is_too_much: bool) -> None:
        error = UnavailableError.code if is_too_much else await self._outcome(question.request)
        try:
            await self._send(question.asker, Answer(question.id, error))
        except UnavailableError as unavailable:
            _log.debug("a node was not answered: %s", unavailable)

    async def _outcome(self, request: Request) -> str | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._do(request)
        except StreamSinkError as error:
            return error.code
        except TimeoutError:
            return UnavailableError.code
        except Exception:
            _log.exception("another node's request failed")
            return UnavailableError.code
        return None

    async def _do(self, request: Request) -> None:
        if isinstance(request, Join):
            await self._local.join(request.thread, request.connection_id, user_id=request.user_id)
        elif isinstance(request, Leave):
            await self._local.leave(request.thread, request.connection_id, user_id=request.user_id)
        else:
            await self._local.close(request.connection_id, request.error)

    async def aclose(self) -> None:
        """Listen no more, and end what waits; idempotent."""
        self._is_closed = True
        self._subscriber.unlisten(self._keys.node(self._node_id), self)
        await self._tasks.aclose()
        for question_id, answer in self._asked.items():
            _settle(answer, Answer(question_id, UnavailableError.code))


def _settle(waiting: asyncio.Future[Answer] | None, answer: Answer) -> None:
    if waiting is not None and not waiting.done():  # who asked may have gone
        waiting.set_result(answer)
