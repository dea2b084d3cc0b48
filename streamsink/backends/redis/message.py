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
    parts = payload.split(None, 5)
    if len(parts) == 6 and parts[2] == b"1" and int(parts[4]) == len(parts[5]):  # most; no body begins with white space
        return [Event(parts[3].decode("ascii"), parts[5], parts[0].decode("ascii"), int(parts[1]))]
    return _decode(payload)


def _decode(payload: bytes) -> list[Event]:
    epoch, first, count, rest = payload.split(b" ", 3)
    at, seq, stop = epoch.decode("ascii"), int(first), len(payload) - len(rest)
    events: list[Event] = []
    for place in range(seq, seq + int(count)):
        start = payload.index(b"\n", stop) + 1
        target, size = payload[stop : start - 1].split(b" ")
        stop = start + int(size)
        events.append(Event(target.decode("ascii"), payload[start:stop], at, place))
    if stop != len(payload) or not events:
        raise ValueError("not as long as it says")
    return events
