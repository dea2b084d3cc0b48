"""What ``streamsink doctor`` looks at, at a real Redis. It keeps to the rights of docs/redis.md."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from streamsink.backends.redis.keys import Keys
from streamsink.backends.redis.scripts import Script
from streamsink.backends.redis.servers import servers_of
from streamsink.core.checks import Check, Doubt
from streamsink.core.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from streamsink.backends.redis.channels import Channels
    from streamsink.backends.redis.settings import RedisSettings
    from streamsink.backends.redis.store import Store
    from streamsink.core.runtime import Runtime

__all__ = ["redis_checks"]

_OLDEST: Final = 7
_HEARD_S: Final = 5.0
_CLOCK_S: Final = 5.0
_WORD: Final = b"well"

_PUBLISH: Final = Script.of("return redis.call('SPUBLISH', KEYS[1], ARGV[1])")
_READ: Final = Script.of("return redis.call('HGET', KEYS[1], 'head')")

_ADDRESS: Final = "compare STREAM_REDIS_URL with where Redis is; is it reachable from here?"
_RIGHTS: Final = "give the user the rules of docs/redis.md"


@asynccontextmanager
async def redis_checks(own: RedisSettings, runtime: Runtime) -> AsyncIterator[Sequence[Check]]:
    """The checks of the servers that the settings name.

    Raises:
        SettingsError: the URL is none.
    """
    servers = servers_of(own.url, timeout_s=own.timeout_s)
    store, channels = servers.store(), servers.subscriber(runtime.random)
    try:
        thread = f"doctor-{runtime.new_id()}"
        yield _RedisChecks(store, channels, Keys(own.prefix, servers.database), thread, runtime.now_ms).all()
    finally:
        await channels.aclose()
        await store.aclose()


class _RedisChecks:
    def __init__(self, store: Store, channels: Channels, keys: Keys, thread: str, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._channels = channels
        self._keys = keys
        self._thread = thread
        self._now_ms = now_ms

    def all(self) -> list[Check]:
        there = ("redis",)
        return [
            Check(name="redis", look=self.version, advice=_ADDRESS),
            Check(name="redis writes", look=self.writes, advice=_RIGHTS, needs=there),
            Check(name="redis scripts", look=self.scripts, advice=_RIGHTS, needs=there),
            Check(name="redis channels", look=self.hears, advice=_RIGHTS, needs=there),
            Check(name="redis persistence", look=self.persistence, needs=there),
            Check(name="redis memory", look=self.memory, needs=there),
            Check(name="redis clock", look=self.clock, needs=there),
        ]

    async def version(self) -> str:
        versions = {_version(info) for info in await self._info("server")}
        for name, version in versions:
            if int(version.partition(".")[0] or 0) < _OLDEST:
                raise UnavailableError(f"{name} {version} is too old: {_OLDEST} or newer is needed")
        return " and ".join(f"{name} {version}" for name, version in sorted(versions))

    async def writes(self) -> str:
        began = time.monotonic()
        await self._store.check(self._keys.ready)
        return f"to each, within {_ms(time.monotonic() - began)}"

    async def scripts(self) -> str:
        await self._store.run(_READ, [self._keys.hash(self._thread)])
        began = time.monotonic()
        await self._store.run(_READ, [self._keys.hash(self._thread)])
        return f"run, within {_ms(time.monotonic() - began)}"

    async def hears(self) -> str:
        channel, ear = self._keys.channel(self._thread), _Ear()
        await self._channels.listen(channel, ear)
        began = time.monotonic()
        await self._store.run(_PUBLISH, [channel], [_WORD])
        try:
            async with asyncio.timeout(_HEARD_S):
                await ear.heard.wait()
        except TimeoutError as error:
            raise UnavailableError(f"what is published is not heard within {_HEARD_S:g} s") from error
        finally:
            self._channels.unlisten(channel, ear)
        return f"what is published is heard after {_ms(time.monotonic() - began)}"

    async def persistence(self) -> str | Doubt:
        found = await self._info("persistence")
        if all(info.get("aof_enabled") for info in found):
            return "an append-only file"
        # Who may not read the configuration cannot tell whether snapshots are taken; that one was is a sign.
        saves = " (snapshots at most)" if any(info.get("rdb_saves", 0) for info in found) else ""
        return Doubt(
            f"no append-only file{saves}",
            "a restart loses what was said; `appendonly yes` keeps all but a second",
        )

    async def memory(self) -> str | Doubt:
        policies = {str(info.get("maxmemory_policy", "noeviction")) for info in await self._info("memory")}
        if policies == {"noeviction"}:
            return "noeviction"
        return Doubt(", ".join(sorted(policies)), "set maxmemory-policy noeviction: no thread may be half forgotten")

    async def clock(self) -> str | Doubt:
        worst_s = 0.0
        for server in await self._store.servers():
            with server.mapped():
                seconds, micros = await server.client.time()
            worst_s = max(worst_s, abs(self._now_ms() / 1000 - seconds - micros / 1e6))
        text = f"{worst_s:.1f} s from this machine's"
        return text if worst_s <= _CLOCK_S else Doubt(text, "set both by NTP: times shown and tokens would be off")

    async def _info(self, section: str) -> list[dict[str, Any]]:
        found = []
        for server in await self._store.servers():
            with server.mapped():
                found.append(dict(await server.client.info(section)))
        return found


class _Ear:
    def __init__(self) -> None:
        self.heard = asyncio.Event()

    def on_messages(self, payloads: Sequence[bytes]) -> None:
        if _WORD in payloads:
            self.heard.set()

    def on_gap(self) -> None:
        """What was lost is not what is listened for."""


def _version(info: dict[str, Any]) -> tuple[str, str]:
    """Valkey says another version of Redis too, for clients that know no other."""
    for name in ("valkey", "redis"):
        if version := str(info.get(f"{name}_version", ""))[:16]:
            return name, version
    return "a server that does not say its version", ""


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"
