"""What a server says on a WebSocket, as bytes: unmasked frames, good for every subscriber. Sans-IO.

Source: RFC 6455 §5.2. Nothing is compressed: it would cost 5 µs per token frame and 33 kB per connection.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.backends.gateway.frame import Frame

__all__ = ["BINARY", "TEXT", "data_frame", "shared_message"]

# First bytes: FIN and opcode.
TEXT: Final = 0x81
BINARY: Final = 0x82

_short_head = Struct("!BB").pack
_medium_head = Struct("!BBH").pack
_long_head = Struct("!BBQ").pack


def data_frame(payload: bytes, first: int) -> bytes:
    """One whole message, ``TEXT`` or ``BINARY``."""
    size = len(payload)
    if size < 126:
        return _short_head(first, size) + payload
    if size < 65_536:
        return _medium_head(first, 126, size) + payload
    return _long_head(first, 127, size) + payload


def shared_message(frames: Sequence[Frame]) -> bytes:
    """One WebSocket message of frames that may share it; a single one's bytes are made once for all its members."""
    if len(frames) == 1:
        return frames[0].wire
    return data_frame(b"".join([frame.payload for frame in frames]), TEXT if frames[0].is_text else BINARY)
