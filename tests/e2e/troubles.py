"""What can happen to the Redis of a running app, and how far the app has come."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from redis.asyncio import Redis

from streamsink.testing.valkey import ValkeyServer
from tests.e2e.proxy import CuttingProxy, forwarding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.e2e.places import Cluster

__all__ = ["Pair", "all_speak", "command", "events_kept", "pair", "some_ended", "terminals"]

_PERSISTENT: Final = ("--appendonly", "yes", "--appendfsync", "always")
_WAIT_S: Final = 60.0
_POLL_S: Final = 0.05


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[Any]:
    client = Redis.from_url(url)
    try:
        yield client
    finally:
        await client.aclose()


async def command(url: str, *words: str) -> Any:
    """What a server answers."""
    async with _client(url) as client:
        return await client.execute_command(*words)


async def _streams(client: Any, on: Cluster) -> list[bytes]:
    return [key async for key in client.scan_iter(f"{on.prefix}:{{*}}:s")]


async def all_speak(on: Cluster, threads: int, *, events: int = 10) -> None:
    """Return when so many threads have more than so many events."""
    async with _client(on.redis_url) as client, asyncio.timeout(_WAIT_S):
        while sum([await client.xlen(stream) > events for stream in await _streams(client, on)]) < threads:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)


async def some_ended(on: Cluster, runs: int) -> None:
    """Return when so many runs have ended. How many events they have depends on how much was merged."""
    async with asyncio.timeout(_WAIT_S):
        while await terminals(on) < runs:  # noqa: ASYNC110  Redis tells nobody
            await asyncio.sleep(_POLL_S)


async def events_kept(on: Cluster) -> int:
    """How many events the timelines have."""
    async with _client(on.redis_url) as client:
        return sum([await client.xlen(stream) for stream in await _streams(client, on)])


async def terminals(on: Cluster) -> int:
    """How many ends of runs the timelines have."""
    async with _client(on.redis_url) as client:
        entries = [entry for stream in await _streams(client, on) for entry in await client.xrange(stream)]
    return sum(fields[b"t"] == b"agentDone" for _, fields in entries)


class Pair:
    """A master and its replica, behind an address that leads to the living one.

    Attributes:
        url: that address.
    """

    def __init__(self, master: ValkeyServer, replica: ValkeyServer, proxy: CuttingProxy, url: str) -> None:
        self._master = master
        self._replica = replica
        self._proxy = proxy
        self.url = url

    async def restart(self) -> None:
        """End the master properly, and start it again with what it had."""
        await asyncio.to_thread(self._master.restart)

    async def pause(self, seconds: float) -> None:
        """The master does nothing for a while."""
        self._master.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._master.resume()

    async def fail_over(self, *, behind_s: float) -> None:
        """The master dies; the replica, which has missed its last so many seconds, takes its place."""
        async with _client(self._replica.url) as client, asyncio.timeout(_WAIT_S):
            while (await client.info("replication"))["master_link_status"] != "up":  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
            await client.execute_command("REPLICAOF", "NO", "ONE")
        await asyncio.sleep(behind_s)
        await asyncio.to_thread(self._master.kill)
        self._proxy.switch(self._replica.url)


@asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    """Both, running and in step; they keep what they have confirmed."""
    master, replica = ValkeyServer(*_PERSISTENT), ValkeyServer(*_PERSISTENT)
    try:
        await asyncio.to_thread(master.start)
        await asyncio.to_thread(replica.start)
        await command(replica.url, "REPLICAOF", "127.0.0.1", str(master.port))
        proxy = CuttingProxy([master.url])
        async with forwarding(proxy) as port:
            yield Pair(master, replica, proxy, f"redis://127.0.0.1:{port}/0")
    finally:
        await asyncio.to_thread(master.close)
        await asyncio.to_thread(replica.close)
