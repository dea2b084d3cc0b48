"""What is the same on every transport: a session drives one connection and is the hub's way to its client."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from streamsink.backends.gateway.connection import Closed, Connection, Opened, Output
from streamsink.backends.gateway.frame import Frame
from streamsink.backends.gateway.frame_queue import FrameQueue
from streamsink.backends.gateway.hub import TOO_SLOW, Hub
from streamsink.backends.gateway.outbox import Outbox, Send
from streamsink.backends.gateway.tasks import stop
from streamsink.backends.gateway.transport import Transport

if TYPE_CHECKING:
    from streamsink.backends.gateway.negotiate import TransportOffer

__all__ = ["Receive", "Session", "StreamSession"]

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]

_log = logging.getLogger("streamsink")


class Session(Transport):
    """One client's connection.

    Args:
        connection: the state machine.
        hub: joined while the connection is open.
        connection_id: its id there.
        user_id: whose it is.
        clock: seconds, never going back.
        max_buffered_bytes: unsent; a client that is further behind is closed.
        close_s: for the client to take what is waiting and to hang up, once the connection is over.
    """

    transport: ClassVar[TransportOffer]

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
        self._connection = connection
        self._hub = hub
        self._connection_id = connection_id
        self._user_id = user_id
        self._clock = clock
        self._max_buffered_bytes = max_buffered_bytes
        self._close_s = close_s
        self._outbox = self._queue()
        self._has_written = False

    def write(self, frame: Frame) -> bool:
        if self._is_behind:
            return False
        self._has_written = True  # instead of a look at the clock for every frame; see tick
        self._outbox.put(frame)
        return True

    @property
    def _is_behind(self) -> bool:
        return self._outbox.buffered_bytes > self._max_buffered_bytes

    def close(self, error: str | None = None, *, allow_reconnect: bool = False, discard: bool = False) -> None:
        if discard:
            self._outbox.discard()
        self._perform(self._connection.close(error, allow_reconnect=allow_reconnect))

    def sever(self) -> None:
        """End without a word; under ASGI that is the end of the response or of the WebSocket."""
        self.close(discard=True)
        self._outbox.discard()

    def take_in(self, data: str | bytes) -> None:
        """Handle what the client sent; one that asks and does not read is closed."""
        self._perform(self._connection.receive(data, self._clock()))
        if self._is_behind:
            self.close(TOO_SLOW, allow_reconnect=True, discard=True)

    def tick(self, now: float, previous: float) -> None:
        """Do what is due.

        Args:
            now: the time.
            previous: that of the last tick; what was written since counts as written then.
        """
        if self._has_written:
            self._has_written = False
            self._connection.sent(previous)
        if now >= self._connection.next_deadline:
            self._perform(self._connection.tick(now))

    def _queue(self) -> FrameQueue:
        return FrameQueue()

    def _perform(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, Frame):
                self._outbox.put(output)
            elif isinstance(output, Opened):
                self._hub.connect(self._connection_id, self._user_id, protocol=output.protocol, transport=self)
            elif isinstance(output, Closed):
                self._end(output)

    def _end(self, closed: Closed) -> None:
        if closed.error is not None:
            _log.debug("connection %s: %s", self._connection_id, closed.error)
        self._hub.disconnect(self._connection_id)
        self._outbox.finish()


class StreamSession(Session):
    """A session that lives inside one call of the ASGI application."""

    outbox: ClassVar[type[Outbox]] = Outbox
    _stream: Outbox
    _life: asyncio.Timeout | None = None

    def _queue(self) -> FrameQueue:
        self._stream = self.outbox()
        return self._stream

    async def run(self, receive: Receive, send: Send) -> None:
        """Serve until the connection is over on both sides, or the time to end it is."""
        writer = asyncio.create_task(self._stream.run(send))
        writer.add_done_callback(self._expire)
        life = asyncio.timeout(None)
        try:
            async with life:
                self._life = life
                if self._connection.is_closed:  # before it was served
                    self._expire()
                await self._read(receive)
        except TimeoutError:
            if not life.expired():
                raise
        finally:
            self._life = None
            self._hub.disconnect(self._connection_id)
            await stop(writer)

    @abstractmethod
    async def _read(self, receive: Receive) -> None:
        """Take in what comes, until the client is gone."""

    def _end(self, closed: Closed) -> None:
        super()._end(closed)
        self._expire()

    def _expire(self, _: object = None) -> None:
        """Allow what remains ``close_s``. ASGI cannot cut a connection; returning to the server does."""
        if self._life is not None and self._life.when() is None:
            self._life.reschedule(asyncio.get_running_loop().time() + self._close_s)
