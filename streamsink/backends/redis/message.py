"""A published batch as bytes: consecutive events, with their place said once. Sans-IO.

``<epoch> <first seq> <count> ``, then for each event ``<target> <bytes of body>\\n<body>``. The scripts write it
(``lua/lib.lua``); bodies are bytes that nobody parses on the way to a client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamsink.core.events import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DELETED", "decode", "encode"]

# Instead of a batch: the thread is no more.
DELETED: Final = b"deleted"


def encode(events: Sequence[Event]) -> bytes:
    """Consecutive events, at least one, as one message."""
    parts = [f"{events[0].epoch} {events[0].seq} {len(events)} ".encode()]
    for event in events:
        parts += (f"{event.target} {len(event.body)}\n".encode(), event.body)
    return b"".join(parts)


def decode(payload: bytes) -> list[Event]:
    """The events of a message.

    Raises:
        ValueError: it is none.
    """
    end = payload.index(b"\n")
    epoch, first, count, target, size = payload[:end].decode("ascii").split(" ")
    seq, stop = int(first), end + 1 + int(size)
    events = [Event(target, payload[end + 1 : stop], epoch, seq)]
    if count != "1":  # most have one
        for place in range(seq + 1, seq + int(count)):
            end = payload.index(b"\n", stop)
            target, size = payload[stop:end].decode("ascii").split(" ")
            stop = end + 1 + int(size)
            events.append(Event(target, payload[end + 1 : stop], epoch, place))
    if stop != len(payload):
        raise ValueError("not as long as it says")
    return events
