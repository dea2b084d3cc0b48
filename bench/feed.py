"""How the publisher's process reaches a gateway without Redis: length-prefixed records on a loopback connection.

The floor and ours read it with the same code, so that what differs between them is what they do with a record.
Gateways that read from Redis are only told of members through it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# Size of the rest, kind, length of the group's name, length of the target, epoch, first seq.
HEAD = struct.Struct("!IBHHQQ")
SIZE = struct.Struct("!I")
EVENT, BATCH, JOIN, STATS = range(4)


def record(
    kind: int, group: bytes = b"", target: bytes = b"", body: bytes = b"", epoch: int = 0, seq: int = 0
) -> bytes:
    """One record as bytes."""
    size = HEAD.size - 4 + len(group) + len(target) + len(body)
    return HEAD.pack(size, kind, len(group), len(target), epoch, seq) + group + target + body


def batch(bodies: list[bytes]) -> bytes:
    """The bodies of consecutive events, as the body of one record."""
    return b"".join(SIZE.pack(len(body)) + body for body in bodies)


def unbatched(data: bytes) -> list[bytes]:
    """The bodies in it."""
    bodies, place = [], 0
    while place < len(data):
        start = place + SIZE.size
        place = start + SIZE.unpack_from(data, place)[0]
        bodies.append(data[start:place])
    return bodies


class FeedProtocol(asyncio.Protocol):
    """Reads records.

    Args:
        on_event: group, target, body, epoch, seq.
        on_batch: the same, for the bodies of consecutive events.
        on_join: group, member.
        stats: what is answered to who asks, when everybody has joined.
    """

    def __init__(
        self,
        on_event: Callable[[bytes, bytes, bytes, int, int], None],
        on_batch: Callable[[bytes, bytes, list[bytes], int, int], None],
        on_join: Callable[[str, str], None],
        stats: Callable[[], Awaitable[dict[str, Any]]],
    ) -> None:
        self._on_event, self._on_batch, self._on_join, self._stats = on_event, on_batch, on_join, stats
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._tail:
            data = self._tail + data
        place, end = 0, len(data)
        unpack, head, on_event = HEAD.unpack_from, HEAD.size, self._on_event
        while end - place >= head:
            size, kind, group_size, target_size, epoch, seq = unpack(data, place)
            stop = place + 4 + size
            if stop > end:
                break
            group_end = place + head + group_size
            target_end = group_end + target_size
            group = data[place + head : group_end]
            if kind == EVENT:
                on_event(group, data[group_end:target_end], data[target_end:stop], epoch, seq)
            elif kind == BATCH:
                self._on_batch(group, data[group_end:target_end], unbatched(data[target_end:stop]), epoch, seq)
            else:
                self._other(kind, group, data[target_end:stop])
            place = stop
        self._tail = data[place:]

    def _other(self, kind: int, group: bytes, body: bytes) -> None:
        if kind == JOIN:
            self._on_join(group.decode(), body.decode())
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
