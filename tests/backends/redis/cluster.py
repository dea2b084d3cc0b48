"""Nodes on one Redis: in this process, and in processes of their own that can be killed."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

from streamsink.backends.redis.factory import redis_sink
from streamsink.backends.redis.keys import Keys
from streamsink.backends.redis.settings import RedisSettings
from streamsink.core.delivery import ServesClients, ServesSockets
from streamsink.core.identity import User
from streamsink.core.runs import RunRequest
from streamsink.core.runtime import Runtime
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings, Times
from streamsink.hosts.sockets import websocket_protocol
from streamsink.testing.serving import serving
from streamsink.testing.signalr import SignalRClient, signalr_client

from .support import fresh_prefix

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamsink.backends.redis.sink import RedisSink

LEASE_S = 0.9
GIVE_UP_S = 2.0
TIMEOUT_S = 0.5
_START_S = 15.0
_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Place:
    """A Redis, and a prefix that nobody else has."""

    url: str
    prefix: str = field(default_factory=fresh_prefix)

    @property
    def keys(self) -> Keys:
        return Keys(self.prefix)

    def settings(self) -> Settings:
        return Settings(backend="redis", secret=SecretRing.parse(f"k1:{'s' * 48}"), times=Times(lease_s=LEASE_S))

    def sink(self, *, give_up_s: float = GIVE_UP_S, has_gateway: bool = True) -> RedisSink:
        """A node's; it does not wait long for anything."""
        own = RedisSettings(url=self.url, prefix=self.prefix, timeout_s=TIMEOUT_S)
        sink = redis_sink(self.settings(), own, Runtime(random=lambda: 1.0), has_gateway=has_gateway)
        sink.options = replace(sink.options, give_up_s=give_up_s, window_s=0.005)
        return sink

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[Any]:
        """Somebody else's connection to it."""
        client = Redis.from_url(self.url)
        try:
            yield client
        finally:
            await client.aclose()

    async def listeners(self, redis: Any, thread: str) -> int:
        """How many nodes listen to a thread."""
        told = await redis.execute_command("PUBSUB", "SHARDNUMSUB", self.keys.channel(thread))
        return int(told[1])


@dataclass(frozen=True, slots=True)
class Node:
    """A gateway that clients reach."""

    sink: RedisSink
    url: str

    @asynccontextmanager
    async def client(self, name: str = "ann") -> AsyncIterator[SignalRClient]:
        """A connected client of this node."""
        async with signalr_client(await self.sink.connect_info(User(subject=name), self.url)) as client:
            yield client

    async def join(self, thread: str, client: SignalRClient, name: str = "ann") -> None:
        """Have a client, of whichever node, join."""
        await self.sink.join(thread, client.connection_id, user_id=User(subject=name).id)


@asynccontextmanager
async def serve(sink: RedisSink) -> AsyncIterator[Node]:
    """Its gateway on a free port; closed on leaving."""
    clients = sink.ability(ServesClients)
    assert clients is not None
    async with sink, serving(clients.client_app, ws=websocket_protocol(lambda: sink.ability(ServesSockets))) as url:
        yield Node(sink, url)


@asynccontextmanager
async def two_nodes(place: Place, **options: Any) -> AsyncIterator[tuple[Node, Node]]:
    """Two of them."""
    async with serve(place.sink(**options)) as one, serve(place.sink(**options)) as other:
        yield one, other


@dataclass(frozen=True, slots=True)
class Process:
    """A node in a process of its own.

    Attributes:
        said: what it said when it was ready.
    """

    process: asyncio.subprocess.Process
    said: str

    async def kill(self) -> None:
        """At once, as kill -9 does."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def in_a_process(what: str, place: Place) -> AsyncIterator[Process]:
    """``gateway``: says its URL; ``producer``: begins a run on ``thread`` that does not end, ``waiter``: accepts one
    that waits for its turn there; each says its id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.backends.redis.cluster",
        what,
        place.url,
        place.prefix,
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START_S):
            said = (await process.stdout.readline()).decode().strip()
        assert said, f"the {what} did not start"
        yield Process(process, said)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _gateway(place: Place) -> None:
    async with serve(place.sink()) as node:
        print(node.url, flush=True)  # noqa: T201
        await asyncio.Event().wait()


async def _producer(place: Place) -> None:
    async with place.sink(has_gateway=False) as sink, sink.run("thread", message="please") as run:
        run.text("Half an ")
        print(run.correlation_id, flush=True)  # noqa: T201
        await asyncio.Event().wait()


async def _waiter(place: Place) -> None:
    async with place.sink(has_gateway=False) as sink:
        waits = RunRequest(correlation_id="waits", agent_name="agent", queue_limit=8, lease_s=LEASE_S)
        await sink.accept_run("thread", waits)
        turn = asyncio.create_task(sink.wait_turn("thread", waits.correlation_id, timeout_s=60))
        await asyncio.sleep(3 * LEASE_S)
        print(waits.correlation_id, flush=True)  # noqa: T201
        await turn


if __name__ == "__main__":
    asyncio.run({"gateway": _gateway, "producer": _producer, "waiter": _waiter}[sys.argv[1]](Place(*sys.argv[2:])))
