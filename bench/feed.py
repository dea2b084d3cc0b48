"""How the publisher's process reaches a gateway without Redis: what is sent at once is one message on a loopback
connection, length-prefixed, of many records.

The floor and ours read it with the same code, a message in one call of C, so that what differs between them is what
they do with an event.
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
ARRAY = struct.Struct("!BI")
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


_decode = msgspec.msgpack.Decoder(list[Record]).decode


def record(kind: int, group: str = "", events: Sequence[Event] = (), member: str = "") -> bytes:
    """One record, for a message."""
    return msgspec.msgpack.encode(Record(kind, group, list(events), member))


def message(records: Sequence[bytes]) -> bytes:
    """Records that are sent at once."""
    data = b"".join(records)
    return SIZE.pack(5 + len(data)) + ARRAY.pack(0xDD, len(records)) + data


class FeedProtocol(asyncio.Protocol):
    """Reads messages.

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
        self._parts: list[bytes] = []
        self._wanted = SIZE.size

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._wanted -= len(data)
        if self._wanted > 0:
            return
        data, place = b"".join(self._parts), 0
        while len(data) >= place + SIZE.size:
            stop = place + SIZE.size + SIZE.unpack_from(data, place)[0]
            if len(data) < stop:
                break
            self._take(_decode(data[place + SIZE.size : stop]))
            place = stop
        else:
            stop = place + SIZE.size
        self._parts = [data[place:]]
        self._wanted = stop - len(data)

    def _take(self, records: list[Record]) -> None:
        on_events = self._on_events
        for read in records:
            if read.kind == EVENTS:
                on_events(read.group, read.events)
            elif read.kind == JOIN:
                self._on_join(read.group, read.member)
            else:
                self._answering = asyncio.ensure_future(self._answer())

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
