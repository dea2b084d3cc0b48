"""A published batch as bytes: consecutive events as a MessagePack array, each ``[target, JSON, epoch, seq]``. Sans-IO.

The scripts write it (``lua/lib.lua``), and C reads it; their JSON is bytes that nobody parses on the way to a client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from streamsink.core.events import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DELETED", "decode", "encode"]

# Instead of a batch: the thread is no more.
DELETED: Final = b"deleted"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Event]).decode


def encode(events: Sequence[Event]) -> bytes:
    """Consecutive events, at least one, as one message."""
    return _encode(events)


def decode(payload: bytes) -> list[Event]:
    """The events of a message.

    Raises:
        ValueError: it is none.
    """
    try:
        events = _decode(payload)
    except msgspec.MsgspecError:
        raise ValueError("not a batch") from None  # its text could quote what was published
    if not events:
        raise ValueError("an empty batch")
    return events
