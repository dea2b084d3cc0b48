"""The sending side of a connection: frames wait in a queue counted in bytes; for streams, one task sends them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from streamsink.backends.gateway.frame import Frame

__all__ = ["FrameQueue", "Outbox", "Send"]

Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# What waits goes out together, up to here; a server may hold this much more for a client that never reads.
MAX_JOINED_BYTES: Final = 65_536


class FrameQueue:
    """Frames that wait, counted in bytes.

    Attributes:
        buffered_bytes: put in and not yet taken by the server.
        is_finished: whether nothing more is taken in.
    """

    __slots__ = ("_frames", "buffered_bytes", "is_finished")

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self.is_finished: bool = False
        self.buffered_bytes: int = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._frames)

    def put(self, frame: Frame) -> None:
        """Queue a frame; after :meth:`finish` it is dropped."""
        if not self.is_finished:
            self._frames.append(frame)
            self.buffered_bytes += len(frame)

    def discard(self) -> None:
        """Forget what is waiting."""
        self.buffered_bytes -= sum(map(len, self._frames))
        self._frames.clear()

    def finish(self) -> None:
        """End after what is waiting."""
        self.is_finished = True

    def take(self) -> list[Frame]:
        """The first frame, and those after it that can share its transport message; to be counted by :meth:`taken`."""
        first = self._frames.popleft()
        frames, size = [first], len(first)
        while self._frames and _can_follow(first, self._frames[0]):
            size += len(self._frames[0])
            if size > MAX_JOINED_BYTES:
                break
            frames.append(self._frames.popleft())
        return frames

    def taken(self, frames: list[Frame]) -> None:
        """The server has them."""
        self.buffered_bytes -= sum(map(len, frames))


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


def _can_follow(first: Frame, other: Frame) -> bool:
    return first.is_mergeable and other.is_mergeable and first.is_text == other.is_text
