"""The redis backend of this bench: where its Redis is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.backends.redis.keys import Keys
from streamsink.backends.redis.settings import RedisSettings
from streamsink.core.runtime import Runtime

if TYPE_CHECKING:
    from streamsink.core.timeline import Timeline

__all__ = ["channel", "redis_settings", "redis_timeline"]

_PREFIX = "bench"
_channel = Keys(_PREFIX).channel


def redis_settings(port: int) -> RedisSettings:
    """Everything but the address as by default."""
    return RedisSettings(url=f"redis://127.0.0.1:{port}/0", prefix=_PREFIX)


def redis_timeline(port: int) -> Timeline:
    """A producer's: appends, and publishes what it appended."""
    from streamsink.backends.redis.factory import redis_timeline

    return redis_timeline(redis_settings(port), Runtime())


def channel(group: str) -> bytes:
    """Where a group's batches are published."""
    return _channel(group)
