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
    head, _, body = payload.partition(b"\n")
    epoch, first, count, target, size = head.decode("ascii").split(" ")
    seq = int(first)
    if count == "1" and int(size) == len(body):  # most
        return [Event(target, body, epoch, seq)]
    start = len(head) + 1
    stop = start + int(size)
    events = [Event(target, payload[start:stop], epoch, seq)]
    for place in range(seq + 1, seq + int(count)):
        start = payload.index(b"\n", stop) + 1
        target, size = payload[stop : start - 1].decode("ascii").split(" ")
        stop = start + int(size)
        events.append(Event(target, payload[start:stop], epoch, place))
    if stop != len(payload):
        raise ValueError("not as long as it says")
    return events
