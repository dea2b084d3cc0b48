"""What a server says on a WebSocket, as bytes: unmasked frames, good for every subscriber. Sans-IO.

Source: RFC 6455 §5.2. Nothing is compressed: it would cost 5 µs per token frame and 33 kB per connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamsink.backends.gateway.frame import Frame

__all__ = ["data_frame", "joined"]

# What waits goes out together, up to here.
MAX_JOINED_BYTES: Final = 65_536

_TEXT: Final = 0x81  # FIN and opcode
_BINARY: Final = 0x82


def data_frame(payload: bytes, *, is_text: bool) -> bytes:
    """One whole message."""
    first, size = _TEXT if is_text else _BINARY, len(payload)
    if size < 126:
        return b"%c%c%b" % (first, size, payload)
    if size < 65_536:
        return b"%c\x7e%b%b" % (first, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (first, size.to_bytes(8, "big"), payload)


def joined(frames: Sequence[Frame]) -> bytes:
    """Frames in their order; neighbours that may share a WebSocket message do."""
    return b"".join(
        run[0].wire if len(run) == 1 else data_frame(b"".join([f.payload for f in run]), is_text=run[0].is_text)
        for run in _runs(frames)
    )


def _runs(frames: Sequence[Frame]) -> Iterator[list[Frame]]:
    run, size = [frames[0]], len(frames[0])
    for frame in frames[1:]:
        size += len(frame)
        if size > MAX_JOINED_BYTES or not _can_follow(run[0], frame):
            yield run
            run, size = [], len(frame)
        run.append(frame)
    yield run


def _can_follow(first: Frame, other: Frame) -> bool:
    return first.is_mergeable and other.is_mergeable and first.is_text == other.is_text
