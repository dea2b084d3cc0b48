"""Frames that wait to be sent: in order, counted in bytes, joined as they are taken. Sans-IO."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from streamsink.backends.gateway.frame import Frame

__all__ = ["FrameQueue"]

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


def _can_follow(first: Frame, other: Frame) -> bool:
    return first.is_mergeable and other.is_mergeable and first.is_text == other.is_text
