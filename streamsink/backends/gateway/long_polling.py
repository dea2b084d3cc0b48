"""One client connection on long polling: every poll takes what waits, POSTs bring what the client says.

Source: aspnetcore docs/specs/TransportProtocols.md, "Long Polling".
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from streamsink.backends.gateway.http import Reply
from streamsink.backends.gateway.negotiate import LONG_POLLING
from streamsink.backends.gateway.session import Receive, Session
from streamsink.backends.gateway.tasks import stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streamsink.backends.gateway.connection import Closed, Connection, Output
    from streamsink.backends.gateway.frame import Frame
    from streamsink.backends.gateway.hub import Hub

__all__ = ["LongPollingSession"]

_NO_STORE: Final = {"cache-control": "no-cache, no-store"}
NOTHING: Final = Reply(200, headers=_NO_STORE)
OVER: Final = Reply(204, headers=_NO_STORE)


class LongPollingSession(Session):
    """A connection that lasts from its first poll until it is closed, or no poll has come for too long."""

    transport = LONG_POLLING

    def __init__(
        self,
        connection: Connection,
        *,
        hub: Hub,
        connection_id: str,
        user_id: str | None,
        clock: Callable[[], float],
        max_buffered_bytes: int = 1_048_576,
        close_s: float = 5.0,
    ) -> None:
        super().__init__(
            connection,
            hub=hub,
            connection_id=connection_id,
            user_id=user_id,
            clock=clock,
            max_buffered_bytes=max_buffered_bytes,
            close_s=close_s,
        )
        self._poll: asyncio.Future[None] | None = None
        self._since = clock()  # the open poll began, or the last one ended
        self._is_closing = asyncio.Event()
        self._is_over = asyncio.Event()

    async def live(self) -> None:
        """Return when there is nothing more to tell the client, or when it does not ask."""
        await self._is_closing.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._close_s):
                await self._is_over.wait()

    async def poll(self, receive: Receive) -> Reply:
        """The answer to one poll; a newer one ends it."""
        self._answer_poll()
        poll = self._poll = asyncio.get_running_loop().create_future()
        self._since = self._clock()
        self._look()
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({poll, gone}, return_when=asyncio.FIRST_COMPLETED)
            return self._reply() if self._poll is poll and not gone.done() else OVER
        finally:
            if self._poll is poll:
                self._poll, self._since = None, self._clock()
            await stop(gone)

    def end(self) -> None:
        """The client is gone, or wants to be."""
        self.close()
        self._outbox.discard()
        self._is_over.set()

    def write(self, frame: Frame) -> bool:
        is_taken = super().write(frame)
        self._look()
        return is_taken

    def tick(self, now: float, previous: float) -> None:
        super().tick(now, previous)
        limits = self._connection.limits
        if self._poll is None and now >= self._since + limits.absent_s:
            self.end()
        elif self._poll is not None and now >= self._since + limits.poll_s:
            self._answer_poll()

    def _perform(self, outputs: Iterable[Output]) -> None:
        super()._perform(outputs)
        self._look()

    def _end(self, closed: Closed) -> None:
        super()._end(closed)
        self._is_closing.set()

    def _look(self) -> None:
        """Answer an open poll if there is something to say."""
        if self._outbox or self._outbox.is_finished:
            self._answer_poll()

    def _answer_poll(self) -> None:
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)

    def _reply(self) -> Reply:
        if not self._outbox:
            if self._outbox.is_finished:
                self._is_over.set()
                return OVER
            return NOTHING
        frames = self._outbox.take()
        self._outbox.taken(frames)
        body = b"".join([frame.payload for frame in frames])
        return Reply(200, body, {**_NO_STORE, "content-type": "application/octet-stream"})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
