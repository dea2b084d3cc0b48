"""One client connection on an ASGI WebSocket: drives the state machine and is the hub's way to the client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from streamsink.backends.gateway.connection import Closed, Connection, Opened, Output
from streamsink.backends.gateway.frame import Frame
from streamsink.backends.gateway.hub import TOO_SLOW, Hub, Transport
from streamsink.backends.gateway.outbox import Outbox, Send
from streamsink.backends.gateway.tasks import stop

__all__ = ["Receive", "WebSocketSession"]

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]

_log = logging.getLogger("streamsink")


class WebSocketSession(Transport):
    """An accepted WebSocket.

    Args:
        connection: the state machine.
        hub: joined while the connection is open.
        connection_id: its id there.
        user_id: whose it is.
        clock: seconds, never going back.
        max_buffered_bytes: unsent answers to a client that asks and does not read.
        close_s: for the client to take what is waiting and to hang up, once the connection is over.
    """

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
        self._outbox = Outbox()
        self._life = asyncio.timeout(None)
        self._is_serving = False
        self._has_written = False

    @property
    def buffered_bytes(self) -> int:
        return self._outbox.buffered_bytes

    def write(self, frame: Frame) -> None:
        self._has_written = True  # instead of a look at the clock for every frame; see tick
        self._outbox.put(frame)

    def close(self, error: str | None = None, *, allow_reconnect: bool = False, discard: bool = False) -> None:
        if discard:
            self._outbox.discard()
        self._perform(self._connection.close(error, allow_reconnect=allow_reconnect))

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

    async def run(self, receive: Receive, send: Send) -> None:
        """Serve until the connection is over on both sides, or the time to end it is."""
        writer = asyncio.create_task(self._outbox.run(send))
        writer.add_done_callback(self._expire)
        try:
            async with self._life:
                self._is_serving = True
                if self._connection.is_closed:  # before it was served
                    self._expire()
                await self._read(receive)
        except TimeoutError:
            if not self._life.expired():
                raise
        finally:
            self._is_serving = False
            self._hub.disconnect(self._connection_id)
            await stop(writer)

    async def _read(self, receive: Receive) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            data = message.get("bytes", b"") if text is None else text
            self._perform(self._connection.receive(data, self._clock()))
            if self._outbox.buffered_bytes > self._max_buffered_bytes:
                self.close(TOO_SLOW, allow_reconnect=True, discard=True)

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
        self._expire()

    def _expire(self, _: object = None) -> None:
        """Allow what remains ``close_s``. ASGI cannot cut a connection; returning to the server does."""
        if self._is_serving and self._life.when() is None:
            self._life.reschedule(asyncio.get_running_loop().time() + self._close_s)
