"""How events leave the publisher's process for each kind of gateway."""

from __future__ import annotations

import asyncio
import json
import socket
from abc import ABC, abstractmethod
from typing import Any

import msgspec

from bench import feed
from bench.store import channel, redis_timeline
from streamsink.backends.redis.message import encode
from streamsink.core.events import Event, Record
from streamsink.core.runs import Batch, RunRequest

EVENT = "agentMessage"


class Outlet(ABC):
    """A way to a gateway."""

    async def begin(self, groups: list[str]) -> None:  # noqa: B027  most need nothing
        """Called before anything is sent to these groups."""

    @abstractmethod
    def encode(self, group: str, event: Event) -> Any:
        """The event as this outlet sends it, made before the clock runs."""

    @abstractmethod
    async def send(self, encoded: list[Any]) -> None:
        """Send, in order."""

    def encode_batch(self, group: str, events: list[Event]) -> list[Any]:
        """Consecutive events as one, where a batch can be published."""
        return [self.encode(group, event) for event in events]


class _Stream(Outlet):
    """Bytes to a port."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))

    async def send(self, encoded: list[Any]) -> None:
        self._socket.sendall(b"".join(encoded))


class FeedOutlet(_Stream):
    """Ours: events."""

    def encode(self, group: str, event: Event) -> bytes:
        return feed.record(feed.EVENTS, group, [event])

    def encode_batch(self, group: str, events: list[Event]) -> list[bytes]:
        return [feed.record(feed.EVENTS, group, events)]


class FloorOutlet(_Stream):
    """The floor: what its clients receive, ready made."""

    def encode(self, group: str, event: Event) -> bytes:
        return feed.record(feed.EVENTS, group, [Event("", event.json, "", 0)])


class _Redis(_Stream):
    """Pipelined PUBLISH commands."""

    async def send(self, encoded: list[Any]) -> None:
        await super().send(encoded)
        wanted = len(encoded)
        while wanted > 0:
            wanted -= self._socket.recv(65_536).count(b"\n")

    def _publish(self, channel: bytes, message: bytes, command: bytes = b"PUBLISH") -> bytes:
        parts = (command, channel, message)
        return b"*3\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


class RedisOutlet(_Redis):
    """What the scripts of our redis backend publish, without the scripts."""

    def encode(self, group: str, event: Event) -> bytes:
        return self._publish(channel(group), encode([event]), b"SPUBLISH")

    def encode_batch(self, group: str, events: list[Event]) -> list[bytes]:
        return [self._publish(channel(group), encode(events), b"SPUBLISH")]


class StoreOutlet(Outlet):
    """Appends through the scripts of our redis backend, which publish: a run in each group."""

    def __init__(self, port: int) -> None:
        self._timeline = redis_timeline(port)

    async def begin(self, groups: list[str]) -> None:
        for group in groups:
            await self._timeline.accept_run(group, RunRequest(correlation_id=group, agent_name="bench"))
            await self._timeline.begin_attempt(group, group, lease_s=3600)

    def encode(self, group: str, event: Event) -> Any:
        return group, Batch(correlation_id=group, attempt=1, first_n=event.seq, records=(_record(event),))

    async def send(self, encoded: list[Any]) -> None:
        await asyncio.gather(*(self._timeline.append(group, batch) for group, batch in encoded))


def _record(event: Event) -> Record:
    """The event before it had its place: here the scripts give it one."""
    return Record(event.target, event.json.rpartition(b',"seq":')[0] + b"}")


class SocketIoPythonOutlet(_Redis):
    """What python-socketio's Redis manager publishes."""

    def encode(self, group: str, event: Event) -> bytes:
        data = [json.loads(event.json)]
        message = {
            "method": "emit", "event": EVENT, "data": data, "binary": False, "namespace": "/", "room": group,
            "skip_sid": None, "callback": None, "host_id": "publisher",
        }  # fmt: skip
        return self._publish(b"socketio", json.dumps(message).encode())


class SocketIoNodeOutlet(_Redis):
    """What the Redis adapter of socket.io publishes for a room."""

    def encode(self, group: str, event: Event) -> bytes:
        packet = {"type": 2, "data": [EVENT, json.loads(event.json)], "nsp": "/"}
        options = {"rooms": [group], "except": [], "flags": {}}
        message = msgspec.msgpack.encode(["publish", packet, options])
        return self._publish(b"socket.io#/#%b#" % group.encode(), message)


class ChannelsOutlet(Outlet):
    """``group_send`` of the channel layer: what it stores is made by a script, so there are no bytes to prepare."""

    def __init__(self, port: int) -> None:
        from channels_redis.core import RedisChannelLayer

        self._layer = RedisChannelLayer(hosts=[f"redis://127.0.0.1:{port}"], capacity=100_000)

    def encode(self, group: str, event: Event) -> Any:
        return group, {"type": "event", "text": event.json.decode()}

    async def send(self, encoded: list[Any]) -> None:
        for group, message in encoded:
            await self._layer.group_send(group, message)


OUTLETS = {
    "redis": RedisOutlet,
    "store": StoreOutlet,
    "feed": FeedOutlet,
    "floor": FloorOutlet,
    "socketio_python": SocketIoPythonOutlet,
    "socketio_node": SocketIoNodeOutlet,
    "channels": ChannelsOutlet,
}
