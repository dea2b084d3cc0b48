"""Which threads may have something to end, and when to look: a hint across threads, never the truth.

A sorted set of thread ids by the time of the next look. It may name too much; what it misses is found by whoever
reads the thread.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from streamsink.backends.redis.scripts import Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamsink.backends.redis.store import Store

__all__ = ["Due", "OpenThreads"]

_AT_ONCE: Final = 200

# A thread that is due sooner stays so, but not unchanged: whoever is looking at it must see that it was noted again.
_NOTE: Final = Script.of("""
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
if known and tonumber(known) <= tonumber(ARGV[2]) then return redis.call('ZINCRBY', KEYS[1], 0.001, ARGV[1]) end
return redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
""")
_DUE: Final = Script.of(
    "return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', 0, ARGV[2])"
)
# Only what has not been noted again meanwhile.
_SETTLE: Final = Script.of("""
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not known or tonumber(known) ~= tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
return redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
""")


class Due:
    """Threads to be looked at now."""

    def __init__(self, found: dict[str, float]) -> None:
        self._found = found
        self._settled: dict[str, float | None] = {}

    @property
    def threads(self) -> list[str]:
        """Their ids."""
        return list(self._found)

    def settle(self, thread: str, next_ms: float | None) -> None:
        """It has been looked at; when to do so again, None: there is nothing more to end."""
        self._settled[thread] = next_ms

    @property
    def settled(self) -> list[tuple[str, float, float | None]]:
        """Thread, when it was due, when it is next."""
        return [(thread, self._found[thread], next_ms) for thread, next_ms in self._settled.items()]


class OpenThreads:
    """The set.

    Args:
        store: where it is.
        key: of the set.
    """

    def __init__(self, store: Store, key: bytes) -> None:
        self._store = store
        self._key = key

    async def note(self, thread: str, look_ms: float) -> None:
        """Have the thread looked at then, unless that is due sooner.

        Raises:
            UnavailableError: as every call of the store.
        """
        await self._store.run(_NOTE, [self._key], [thread, int(look_ms)])

    @asynccontextmanager
    async def due(self, now_ms: float) -> AsyncIterator[Due]:
        """Threads that are due, the longest due first: some of them, where there are many.

        Raises:
            UnavailableError: as every call of the store.
        """
        found = iter(await self._store.run(_DUE, [self._key], [int(now_ms), _AT_ONCE]))
        due = Due({thread.decode(): float(score) for thread, score in zip(found, found, strict=True)})
        yield due
        for thread, was_ms, next_ms in due.settled:
            arguments = [thread, repr(was_ms), "" if next_ms is None else int(next_ms)]
            await self._store.run(_SETTLE, [self._key], arguments)
