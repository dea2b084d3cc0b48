"""The sending side of one ASGI WebSocket: frames wait in a queue counted in bytes; one task sends them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from streamsink.backends.gateway.frame import Frame

__all__ = ["Outbox", "Send"]

Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# What waits goes out together, up to here; a server may hold this much more for a client that never reads.
MAX_JOINED_BYTES: Final = 65_536


class Outbox:
    """A queue of frames and the coroutine that empties it.

    Attributes:
        buffered_bytes: put in and not yet taken by the server.
    """

    __slots__ = ("_frames", "_is_finished", "_wake", "buffered_bytes")

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._wake = asyncio.Event()
        self._is_finished = False
        self.buffered_bytes: int = 0

    def put(self, frame: Frame) -> None:
        """Queue a frame; after :meth:`finish` it is dropped."""
        if self._is_finished:
            return
        self._frames.append(frame)
        self.buffered_bytes += len(frame)
        self._wake.set()

    def discard(self) -> None:
        """Forget what is waiting."""
        self.buffered_bytes -= sum(map(len, self._frames))
        self._frames.clear()

    def finish(self) -> None:
        """Close the WebSocket after what is waiting."""
        self._is_finished = True
        self._wake.set()

    async def run(self, send: Send) -> None:
        """Send until finished, or until the server says that the client is gone."""
        try:
            await self._send_all(send)
        except (OSError, RuntimeError):
            # ASGI: OSError after a disconnect. uvicorn: RuntimeError once it has closed the WebSocket itself.
            self.discard()
            self._is_finished = True

    async def _send_all(self, send: Send) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._frames:
                frames = self._take()
                await send(_message(frames))
                self.buffered_bytes -= sum(map(len, frames))
            if self._is_finished:
                await send({"type": "websocket.close", "code": 1000})
                return

    def _take(self) -> list[Frame]:
        """The first frame, and those after it that can share its transport message."""
        first = self._frames.popleft()
        frames, size = [first], len(first)
        while self._frames and _can_follow(first, self._frames[0]):
            size += len(self._frames[0])
            if size > MAX_JOINED_BYTES:
                break
            frames.append(self._frames.popleft())
        return frames


def _can_follow(first: Frame, other: Frame) -> bool:
    return first.is_mergeable and other.is_mergeable and first.is_text == other.is_text


def _message(frames: list[Frame]) -> dict[str, Any]:
    if frames[0].is_text:
        text = frames[0].text if len(frames) == 1 else "".join([frame.text for frame in frames])
        return {"type": "websocket.send", "text": text}
    return {"type": "websocket.send", "bytes": b"".join([frame.payload for frame in frames])}
