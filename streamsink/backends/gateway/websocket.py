"""One client connection on an ASGI WebSocket."""

from __future__ import annotations

from streamsink.backends.gateway.negotiate import WEB_SOCKETS
from streamsink.backends.gateway.session import Receive, StreamSession

__all__ = ["Receive", "WebSocketSession"]


class WebSocketSession(StreamSession):
    """An accepted WebSocket."""

    transport = WEB_SOCKETS

    async def _read(self, receive: Receive) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            self.take_in(message.get("bytes", b"") if text is None else text)
