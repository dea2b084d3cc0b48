"""What a server says on a WebSocket, as bytes: unmasked frames, good for every subscriber. Sans-IO.

Source: RFC 6455 §5.2. Nothing is compressed: it would cost 5 µs per token frame and 33 kB per connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    return b"".join([_message(run) for run in _runs(frames)])


def _message(run: Sequence[Frame]) -> bytes:
    if len(run) == 1:
        return run[0].wire
    return data_frame(b"".join([frame.payload for frame in run]), is_text=run[0].is_text)


def _runs(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Written out, since it runs for every group of every loop turn in which several records came."""
    runs: list[list[Frame]] = []
    size, is_open, is_text = 0, False, False
    for frame in frames:
        size += len(frame.payload)
        if is_open and frame.is_mergeable and frame.is_text is is_text and size <= MAX_JOINED_BYTES:
            runs[-1].append(frame)
        else:
            runs.append([frame])
            size, is_open, is_text = len(frame.payload), frame.is_mergeable, frame.is_text
    return runs
