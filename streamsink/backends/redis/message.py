"""A published batch as bytes: ``[epoch, first seq, last seq, records]`` in MessagePack. Sans-IO.

The scripts write it (``lua/lib.lua``), and C reads it; the records are what clients of the JSON protocol get, byte by
byte: nobody parses or makes them again on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from streamsink.backends.gateway.json_events import JsonEvents
from streamsink.backends.gateway.json_protocol import JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamsink.core.events import Event

__all__ = ["DELETED", "decode", "encode"]

# Instead of a batch: the thread is no more.
DELETED: Final = b"deleted"

_encode = msgspec.msgpack.Encoder().encode

# The events of a message; what its records are is not looked at. It raises ValueError where it is none, with a text
# that is not to be told: it may quote. A function around it would cost as much as a third of it.
decode: Callable[[bytes], JsonEvents] = msgspec.msgpack.Decoder(JsonEvents).decode


def encode(events: Sequence[Event]) -> bytes:
    """Consecutive events, at least one, as one message."""
    first, last = events[0], events[-1]
    return _encode(JsonEvents(first.epoch, first.seq, last.seq, JSON.frame([events]).payload))
