"""The sending side of a connection under ASGI: frames wait in a queue, and one task sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

from streamsink.backends.gateway.frame_queue import FrameQueue

if TYPE_CHECKING:
    from streamsink.backends.gateway.frame import Frame

__all__ = ["Outbox", "Send"]

Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Outbox(FrameQueue):
    """The queue of one WebSocket, and the coroutine that empties it."""

    __slots__ = ("_wake",)

    def __init__(self) -> None:
        super().__init__()
        self._wake = asyncio.Event()

    def put(self, frame: Frame) -> None:
        super().put(frame)
        self._wake.set()

    def finish(self) -> None:
        super().finish()
        self._wake.set()

    async def run(self, send: Send) -> None:
        """Send until finished, or until the server says that the client is gone."""
        try:
            await self._send_all(send)
        except (OSError, RuntimeError):
            # ASGI: OSError after a disconnect. uvicorn: RuntimeError once it has closed the WebSocket itself.
            self.discard()
            self.is_finished = True

    async def _send_all(self, send: Send) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._frames:
                frames = self.take()
                await send(self._message(frames))
                self.taken(frames)
            if self.is_finished:
                await send(self._end())
                return

    def _message(self, frames: list[Frame]) -> dict[str, Any]:
        if frames[0].is_text:
            text = frames[0].text if len(frames) == 1 else "".join([frame.text for frame in frames])
            return {"type": "websocket.send", "text": text}
        return {"type": "websocket.send", "bytes": b"".join([frame.payload for frame in frames])}

    def _end(self) -> dict[str, Any]:
        return {"type": "websocket.close", "code": 1000}
