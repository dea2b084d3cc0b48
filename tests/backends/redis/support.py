"""Stores, keys and clocks for the tests."""

from __future__ import annotations

import uuid
from itertools import count
from typing import TYPE_CHECKING

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from streamsink.backends.redis.keys import Keys
from streamsink.backends.redis.scripts import Script, Scripts
from streamsink.backends.redis.single import Single
from streamsink.backends.redis.store import RedisStore

if TYPE_CHECKING:
    from streamsink.backends.redis.store import Store
    from streamsink.testing.valkey import ValkeyServer

SLOTS = REDIS_CLUSTER_HASH_SLOTS
SET = Script.of("return redis.call('SET', KEYS[1], ARGV[1])")
CLOCK = """
for _, key in ipairs({%s}) do
  local found = redis.pcall('GET', key)
  if type(found) == 'string' then return tonumber(found) end
end
"""
CLOCK_START_MS = 1_700_000_000_000


def fresh_prefix() -> str:
    """Of nobody else's keys."""
    return f"test-{uuid.uuid4().hex[:12]}"


def fresh_keys() -> Keys:
    """Nobody else's keys."""
    return Keys(fresh_prefix())


def open_store(valkey: ValkeyServer, *, timeout_s: float = 5.0) -> RedisStore:
    """A store on the server."""
    return RedisStore(Single(valkey.url, timeout_s), timeout_s=timeout_s)


class StoreClock:
    """The scripts' clock: a key in Redis, moved by the test; in a cluster one at each of three equal masters, of which
    a script reads the one that it may."""

    def __init__(self, prefix: str, *, is_cluster: bool = False) -> None:
        self._keys = [in_third(third, f"{prefix}:clock") for third in range(3)] if is_cluster else [f"{prefix}:clock"]
        self.now_ms = CLOCK_START_MS
        self.scripts = Scripts(CLOCK % ", ".join(f"'{key}'" for key in self._keys))

    async def advance(self, store: Store, seconds: float = 0.0) -> None:
        """Let time pass; once with 0 before anything else."""
        self.now_ms += int(seconds * 1000)
        for key in self._keys:
            await store.run(SET, [key.encode()], [self.now_ms])


def in_third(third: int, name: str) -> str:
    """A name that begins so, in that third of the slots of a cluster: 0, 1 or 2."""
    return next(each for each in (f"{name}-{n}" for n in count()) if key_slot(each.encode()) * 3 // SLOTS == third)
