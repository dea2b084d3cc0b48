"""A real cluster on loopback: three masters with a third of the slots each, and a replica of the last of them."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from itertools import permutations
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from streamsink.testing.valkey import ValkeyServer, free_port

from .support import SLOTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

__all__ = ["ClusterServer", "LocalCluster", "local_cluster", "until"]


class ClusterServer(ValkeyServer):
    """One of it."""

    def __init__(self, *options: str) -> None:
        self.bus_port = free_port()
        super().__init__(
            "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", str(self.bus_port), *options
        )  # fmt: skip

    @property
    def is_running(self) -> bool:
        """Paused or not."""
        return self._process is not None

    async def tell(self, *words: Any) -> Any:
        """Have it run a command."""
        async with Redis.from_url(self.url, single_connection_client=True) as client:
            return await client.execute_command(*words)  # type: ignore[no-untyped-call]

    async def id(self) -> str:
        """By which the others know it."""
        found: bytes = await self.tell("CLUSTER", "MYID")
        return found.decode()

    async def slots(self) -> dict[int, int]:
        """The port of the master of each slot, as far as this server knows."""
        return {
            slot: int(master[1])
            for first, last, master, *_ in await self.tell("CLUSTER", "SLOTS")
            for slot in range(first, last + 1)
        }


class LocalCluster:
    """Four servers that run."""

    def __init__(self, servers: list[ClusterServer]) -> None:
        self.masters = servers[:3]
        self.replica = servers[3]
        self.servers = servers

    @property
    def url(self) -> str:
        """Names some of it."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.masters[:2])

    async def form(self) -> None:
        """Introduce them to each other, and wait until all of them say that all is well."""
        for third, server in enumerate(self.masters):
            await server.tell("CLUSTER", "ADDSLOTSRANGE", _begin(third), _begin(third + 1) - 1)
            await server.tell("CLUSTER", "SET-CONFIG-EPOCH", third + 1)
        for one, other in permutations(self.servers, 2):
            await one.tell("CLUSTER", "MEET", "127.0.0.1", other.port, other.bus_port)
        await until(self._is_whole)
        await self.replica.tell("CLUSTER", "REPLICATE", await self.masters[2].id())
        await until(self._has_caught_up)

    async def restore(self) -> None:
        """Have all of them run, with the roles that they had."""
        for server in self.servers:
            server.resume()
            if not server.is_running:
                server.start()
        if (await self.replica.tell("INFO", "replication"))["role"] == "master":
            await until(lambda: _has_caught_up(self.masters[2]))
            await self.masters[2].tell("CLUSTER", "FAILOVER", "TAKEOVER")
        await until(self._has_caught_up)

    async def move_slot(self, slot: int, source: ClusterServer, target: ClusterServer) -> None:
        """As an administrator does: key by key."""
        await self.begin_to_move(slot, source, target)
        while keys := await source.tell("CLUSTER", "GETKEYSINSLOT", slot, 100):
            await source.tell("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
        await self.end_move(slot, source, target)

    async def begin_to_move(self, slot: int, source: ClusterServer, target: ClusterServer) -> None:
        """From now on its keys are at one of the two."""
        await target.tell("CLUSTER", "SETSLOT", slot, "IMPORTING", await source.id())
        await source.tell("CLUSTER", "SETSLOT", slot, "MIGRATING", await target.id())

    async def end_move(self, slot: int, source: ClusterServer, target: ClusterServer) -> None:
        """The slot is there."""
        for server in (target, source):
            await server.tell("CLUSTER", "SETSLOT", slot, "NODE", await target.id())

    async def _is_whole(self) -> bool:
        infos = [await server.tell("CLUSTER", "INFO") for server in self.servers]
        ports = {server.port for server in self.masters}
        return all(b"cluster_state:ok" in info and b"cluster_known_nodes:4" in info for info in infos) and all(
            [ports == set((await server.slots()).values()) for server in self.servers]
        )

    async def _has_caught_up(self) -> bool:
        return await self._is_whole() and await _has_caught_up(self.replica)


async def _has_caught_up(replica: ClusterServer) -> bool:
    told: dict[str, str] = await replica.tell("INFO", "replication")
    return told.get("master_link_status") == "up"


def _begin(third: int) -> int:
    """The first slot of a third; see ``in_third``."""
    return -(-SLOTS * third // 3)


@contextmanager
def local_cluster(make: Callable[[], ClusterServer] = ClusterServer) -> Iterator[LocalCluster]:
    """One that works, of servers that ``make`` makes. To be made outside of an event loop."""
    with ExitStack() as stack:
        cluster = LocalCluster([stack.enter_context(make()) for _ in range(4)])
        asyncio.run(cluster.form())
        yield cluster


async def until(is_so: Callable[[], Awaitable[bool]], *, timeout_s: float = 15.0) -> None:
    """Return when servers have come to what they announce to nobody."""
    async with asyncio.timeout(timeout_s):
        while not await _holds(is_so):  # noqa: ASYNC110  there is nothing to wait for
            await asyncio.sleep(0.05)


async def _holds(is_so: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await is_so()
    except (RedisError, OSError):  # one of them is gone
        return False
