"""One client's WebSocket on a raw socket: the event loop's callbacks, and the hub's way to the client.

No task and no queue, unless the network is behind: what comes in is answered in the callback, what goes out is
written at once; the event loop writes to the network when its turn is over.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, cast

from streamsink.backends.gateway.connection import Closed, Connection, Opened, Output
from streamsink.backends.gateway.frame import Frame
from streamsink.backends.gateway.frame_queue import FrameQueue
from streamsink.backends.gateway.hub import TOO_SLOW, Hub
from streamsink.backends.gateway.websocket_frames import shared_message
from streamsink.backends.gateway.websocket_peer import WebSocketPeer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streamsink.backends.gateway.admission import Caller
    from streamsink.backends.gateway.http import Reply
    from streamsink.backends.gateway.sockets import Sockets
    from streamsink.backends.gateway.websocket_peer import Upgrade

__all__ = ["SocketProtocol"]

# A WebSocket message may hold several hub messages, of which each has its own bound.
_MESSAGES_AT_ONCE: Final = 2
# The network is behind from here on, or from the bound of what may be unsent, if that is less.
_BEHIND_BYTES: Final = 65_536

_log = logging.getLogger("streamsink")


class SocketProtocol(asyncio.Protocol):
    """A connection, from the upgrade request to its end; a :class:`~streamsink.backends.gateway.hub.Transport`.

    Args:
        sockets: those that it is one of.
        on_lost: called at the end.
    """

    __slots__ = (
        "_connection", "_connection_id", "_end_timer", "_has_written", "_hub", "_is_paused", "_on_lost", "_peer",
        "_sockets", "_token", "_transport", "_user_id", "_waiting",
    )  # fmt: skip

    def __init__(self, sockets: Sockets, on_lost: Callable[[asyncio.Protocol], None]) -> None:
        self._sockets = sockets
        self._on_lost = on_lost
        self._transport: asyncio.Transport
        self._peer: WebSocketPeer | None = None
        self._connection: Connection
        self._hub: Hub
        self._connection_id: str
        self._user_id: str | None
        self._token: str
        self._end_timer: asyncio.TimerHandle | None = None
        self._has_written = False
        self._is_paused = False
        self._waiting: FrameQueue | None = None  # made when the network falls behind

    # The event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._peer is None:
            self._transport.pause_reading()  # nothing may follow before the answer
            self._sockets.admit(self, data)
            return
        for message in self._peer.receive(data):
            self._perform(self._connection.receive(message, self._sockets.clock()))
        self._answer(self._peer)
        if self._is_paused and self._is_behind:
            self.close(TOO_SLOW, allow_reconnect=True, discard=True)

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._flush()

    def eof_received(self) -> None:
        self._hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_lost(self)
        if self._end_timer is not None:
            self._end_timer.cancel()
        self._waiting = None
        if self._peer is not None:
            self._hub.disconnect(self._connection_id)
            self._sockets.remove(self, self._token)

    # The upgrade

    def refuse(self, upgrade: Upgrade, reply: Reply) -> None:
        """Answer with an error."""
        answer, _ = upgrade.answer(reply)
        self._transport.write(answer)
        self._hang_up()

    def accept(self, upgrade: Upgrade, caller: Caller, connection_id: str, token: str) -> bool:
        """Open the WebSocket. False: the client has gone, or did not ask well."""
        answer, is_accepted = upgrade.answer()
        if self._transport.is_closing():
            return False
        self._transport.write(answer)
        if not is_accepted:
            self._hang_up()
            return False
        limits = self._sockets.limits
        self._connection = Connection(now=self._sockets.clock(), limits=limits)
        self._hub, self._user_id, self._connection_id, self._token = caller.hub, caller.user_id, connection_id, token
        self._peer = WebSocketPeer(limits.max_message_bytes * _MESSAGES_AT_ONCE)
        self._transport.set_write_buffer_limits(min(_BEHIND_BYTES, self._sockets.max_buffered_bytes))
        self._transport.resume_reading()
        return True

    # The hub's side

    def write(self, frame: Frame) -> bool:
        """See :class:`Transport`."""
        if self._is_paused:
            if self._is_behind:
                return False
            self._keep(frame)
        else:
            self._has_written = True  # instead of a look at the clock for every frame; see tick
            self._transport.write(frame.wire)
        return True

    def _keep(self, frame: Frame) -> None:
        """Until the network is not behind any more."""
        if self._waiting is None:
            self._waiting = FrameQueue()
        self._waiting.put(frame)

    @property
    def _is_behind(self) -> bool:
        """Whether more has been written and not been taken by the network than may be; only while that is behind."""
        waiting = 0 if self._waiting is None else self._waiting.buffered_bytes
        return waiting + self._transport.get_write_buffer_size() > self._sockets.max_buffered_bytes

    def _flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, None
        while waiting:
            self._has_written = True
            self._transport.write(shared_message(waiting.take()))

    def close(self, error: str | None = None, *, allow_reconnect: bool = False, discard: bool = False) -> None:
        """Send a Close message, then end; again is harmless. See :class:`Transport`."""
        if discard:
            self._waiting = None
        self._perform(self._connection.close(error, allow_reconnect=allow_reconnect))

    def sever(self) -> None:
        """End at once and without a word, as when the network breaks."""
        self._hub.disconnect(self._connection_id)
        self._transport.abort()

    def shutdown(self) -> None:
        """The server is going away."""
        if self._peer is None:
            self._hang_up()
        else:
            self.close(allow_reconnect=True)

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

    # Both

    def _perform(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, Frame):
                if self._is_paused:
                    self._keep(output)  # whatever the bound: what asks too much is closed by data_received
                else:
                    self.write(output)
            elif isinstance(output, Opened):
                self._hub.connect(self._connection_id, self._user_id, protocol=output.protocol, transport=self)
            elif isinstance(output, Closed):
                self._end(output)

    def _end(self, closed: Closed) -> None:
        if closed.error is not None:
            _log.debug("connection %s: %s", self._connection_id, closed.error)
        self._hub.disconnect(self._connection_id)
        self._is_paused = False  # the last words go out whatever the network says
        self._flush()
        assert self._peer is not None  # noqa: S101  for the type checker
        self._peer.close()
        self._answer(self._peer)
        self._expire()

    def _answer(self, peer: WebSocketPeer) -> None:
        """Write what the WebSocket protocol itself has to say."""
        data, is_over = peer.output()
        if data:
            self._flush()  # in order
            self._transport.write(data)
        if is_over:
            self._hub.disconnect(self._connection_id)
            self._hang_up()

    def _hang_up(self) -> None:
        self._transport.close()
        self._expire()

    def _expire(self) -> None:
        """Allow what remains ``close_s``."""
        if self._end_timer is None:
            loop = asyncio.get_running_loop()
            self._end_timer = loop.call_later(self._sockets.close_s, self._transport.abort)
