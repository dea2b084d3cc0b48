"""Stores, keys and clocks for the tests."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from streamsink.backends.redis.keys import Keys
from streamsink.backends.redis.scripts import Scripts
from streamsink.backends.redis.servers import servers_of
from streamsink.backends.redis.store import RedisStore

if TYPE_CHECKING:
    from streamsink.testing.valkey import ValkeyServer

CLOCK_START_MS = 1_700_000_000_000


def fresh_prefix() -> str:
    """Of nobody else's keys."""
    return f"test-{uuid.uuid4().hex[:12]}"


def fresh_keys() -> Keys:
    """Nobody else's keys."""
    return Keys(fresh_prefix())


def open_store(valkey: ValkeyServer, *, timeout_s: float = 5.0) -> RedisStore:
    """A store on the server."""
    return RedisStore(servers_of(valkey.url, timeout_s=timeout_s), timeout_s=timeout_s)


class StoreClock:
    """The scripts' clock: a key in Redis, moved by the test."""

    def __init__(self, prefix: str) -> None:
        self._key = f"{prefix}:clock"
        self.now_ms = CLOCK_START_MS
        self.scripts = Scripts(f"return tonumber(redis.call('GET', '{self._key}'))")

    async def advance(self, store: RedisStore, seconds: float = 0.0) -> None:
        """Let time pass; once with 0 before anything else."""
        self.now_ms += int(seconds * 1000)
        with store.mapped():
            await store.client.set(self._key, self.now_ms)
