"""The server's end of one WebSocket on a byte stream, without input or output.

Two thin layers on ``websockets.server.ServerProtocol``: one answers the request, fresh ones serve the open connection
while it says something. Making one takes 4 µs, so that a frame reader of our own would save nothing worth having
(docs/architecture.md has the measurement).
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import unquote

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamsink.backends.gateway.http import Reply, Scope

__all__ = ["Upgrade", "WebSocketPeer"]

# The library would log every header, tokens too, where somebody turns debugging on.
_log: Final = logging.getLogger("streamsink.websockets")
_log.setLevel(logging.WARNING)


class Upgrade:
    """The request for a WebSocket, and the answer to it.

    Args:
        data: the whole request.

    Attributes:
        scope: the request as ASGI would give it, as far as admission looks at it; None where it is no good
            request, which :meth:`answer` refuses.
    """

    __slots__ = ("_protocol", "_request", "scope")

    def __init__(self, data: bytes) -> None:
        self._protocol = ServerProtocol(logger=_log)
        self._protocol.receive_data(data)
        found = [event for event in self._protocol.events_received() if isinstance(event, Request)]
        self._request: Request | None = found[0] if found else None
        self.scope: Scope | None = None if self._request is None else _scope(self._request)

    def answer(self, refusal: Reply | None = None) -> tuple[bytes, bool]:
        """The answer, and whether the WebSocket is open after it.

        Args:
            refusal: why it is not to be; what is no good handshake is refused anyway.
        """
        is_accepted = self._request is not None and self._respond(self._request, refusal)
        written = b"".join(self._protocol.data_to_send())
        _let_go(self._protocol)
        return written, is_accepted

    def _respond(self, request: Request, refusal: Reply | None) -> bool:
        """Without a request the library has written its refusal already, if any."""
        response = self._protocol.accept(request)
        is_accepted = response.status_code == HTTPStatus.SWITCHING_PROTOCOLS
        if is_accepted and refusal is not None:
            is_accepted = False
            response = self._protocol.reject(HTTPStatus(refusal.status), refusal.body.decode())
            for name, value in refusal.headers.items():
                response.headers[name] = value
        self._protocol.send_response(response)
        return is_accepted


class WebSocketPeer:
    """An open WebSocket: takes bytes and gives messages; what is to be written is fetched with :meth:`output`.

    The library's protocol is there while something is under way, and made anew when the client speaks again: most
    clients only ping, every 15 s, and garbage collections last as long as there are objects of idle connections.

    Args:
        max_message_bytes: of one message, in however many frames.
    """

    __slots__ = ("_is_text", "_max_bytes", "_parts", "_protocol", "_unread_bytes")

    def __init__(self, max_message_bytes: int) -> None:
        self._max_bytes = max_message_bytes
        self._protocol: ServerProtocol | None = None
        self._unread_bytes = 0  # given to the library, and not seen in a frame
        self._parts: list[bytes] | None = None  # of a message that has begun
        self._is_text = False

    def receive(self, data: bytes) -> Iterator[str | bytes]:
        """The messages that ``data`` completes; to be exhausted before the next call."""
        protocol = self._awake()
        self._unread_bytes += len(data)
        protocol.receive_data(data)
        for frame in cast("list[Frame]", protocol.events_received()):
            self._unread_bytes -= _size(frame)
            yield from self._take(frame)

    def close(self) -> None:
        """Say that it is over; again is harmless."""
        protocol = self._awake()
        if protocol.state is State.OPEN:
            protocol.send_close(CloseCode.NORMAL_CLOSURE)

    def output(self) -> tuple[bytes, bool]:
        """What is to be written now, and whether the connection ends after it."""
        protocol = self._protocol
        if protocol is None:
            return b"", False
        written = protocol.data_to_send()
        if not self._unread_bytes and self._parts is None and protocol.state is State.OPEN:
            _let_go(protocol)
            self._protocol = None
        return b"".join(written), SEND_EOF in written

    def _awake(self) -> ServerProtocol:
        if self._protocol is None:
            self._protocol = ServerProtocol(state=State.OPEN, max_size=self._max_bytes, logger=_log)
        return self._protocol

    def _take(self, frame: Frame) -> Iterator[str | bytes]:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._is_text, self._parts = frame.opcode is Opcode.TEXT, []
        if self._parts is None or frame.opcode >= Opcode.CLOSE:  # a control frame, which the library has answered
            return
        self._parts.append(bytes(frame.data))
        if frame.fin:
            data, self._parts = b"".join(self._parts), None
            yield from self._decoded(data) if self._is_text else (data,)

    def _decoded(self, data: bytes) -> Iterator[str]:
        try:
            yield data.decode()
        except UnicodeDecodeError:
            self._awake().fail(CloseCode.INVALID_DATA)


def _let_go(protocol: ServerProtocol) -> None:
    """End the generator that it and its parser hold each other by: else it would wait for a garbage collection."""
    protocol.parser.close()


def _size(frame: Frame) -> int:
    """What a client's frame took at least, RFC 6455 §5.2; whoever writes lengths longer than need be took more."""
    size = len(frame.data)
    return size + (6 if size < 126 else 8 if size < 65_536 else 14)


def _scope(request: Request) -> Scope:
    path, _, query = request.path.partition("?")
    return {
        "type": "websocket",
        "path": unquote(path),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in request.headers.raw_items()],
    }
