"""How the publisher's process reaches a gateway without Redis: length-prefixed records on a loopback connection.

The floor and ours read it with the same code, in C as far as may be, so that what differs between them is what they do
with an event.
Gateways that read from Redis are only told of members through it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import struct
from typing import TYPE_CHECKING, Any

import msgspec

from streamsink.core.events import Event  # noqa: TC001  read at run time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

SIZE = struct.Struct("!I")
EVENTS, JOIN, STATS = range(3)


class Record(msgspec.Struct, array_like=True, gc=False):
    """Args:
    kind: ``EVENTS``, ``JOIN`` or ``STATS``.
    group: its name.
    events: consecutive ones.
    member: who joins.
    """

    kind: int
    group: str = ""
    events: list[Event] = []
    member: str = ""


_decode = msgspec.msgpack.Decoder(Record).decode


def record(kind: int, group: str = "", events: Sequence[Event] = (), member: str = "") -> bytes:
    """One record as bytes."""
    data = msgspec.msgpack.encode(Record(kind, group, list(events), member))
    return SIZE.pack(len(data)) + data


class FeedProtocol(asyncio.Protocol):
    """Reads records.

    Args:
        on_events: group, events.
        on_join: group, member.
        stats: what is answered to who asks, when everybody has joined.
    """

    def __init__(
        self,
        on_events: Callable[[str, list[Event]], None],
        on_join: Callable[[str, str], None],
        stats: Callable[[], Awaitable[dict[str, Any]]],
    ) -> None:
        self._on_events, self._on_join, self._stats = on_events, on_join, stats
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._tail:
            data = self._tail + data
        place, end, on_events, unpack = 0, len(data), self._on_events, SIZE.unpack_from
        while end - place >= 4:
            stop = place + 4 + unpack(data, place)[0]
            if stop > end:
                break
            read = _decode(data[place + 4 : stop])
            if read.kind == EVENTS:
                on_events(read.group, read.events)
            elif read.kind == JOIN:
                self._on_join(read.group, read.member)
            else:
                self._answering = asyncio.ensure_future(self._answer())
            place = stop
        self._tail = data[place:]

    async def _answer(self) -> None:
        self._transport.write(json.dumps(await self._stats()).encode() + b"\n")  # type: ignore[attr-defined]


class Lag:
    """How long the loop was blocked at most: a timer every 2 ms that is late."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()
        self._beat()

    def _beat(self) -> None:
        now = self._loop.time()
        self.worst_s = max(self.worst_s, now - self._due)
        self._due = now + 0.002
        self._loop.call_at(self._due, self._beat)

    def take(self) -> float:
        """The worst since the last time. Then collects garbage, so that memory can be measured; this is not counted."""
        worst, self.worst_s = self.worst_s, 0.0
        gc.collect()
        self._due = self._loop.time()
        return worst
