"""One address, whoever answers there."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from streamsink.backends.redis.endpoint import Endpoint
from streamsink.backends.redis.kinds import OneServer

__all__ = ["Single", "connection_options"]

_CONNECTIONS: Final = 8


def connection_options(timeout_s: float) -> dict[str, Any]:
    """Of every client that runs commands."""
    return {
        # Not for every reply: a store has a time limit of its own, and redis-py's would cost more than the rest.
        "socket_timeout": None,
        "socket_connect_timeout": timeout_s,
        "max_connections": _CONNECTIONS,
        # Once, for a pooled connection that has gone stale. Patience is for who waits for the answer.
        "retry": Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.1), 1),
    }


class Single(OneServer):
    """Args:
    url: as redis-py reads it.
    endpoint: what it says, where that is known already: else certificates are read.

    Raises:
        SettingsError: the URL says nothing.
    """

    def __init__(self, url: str, timeout_s: float, *, endpoint: Endpoint | None = None) -> None:
        self.timeout_s = timeout_s
        self._url = url
        self._endpoint = endpoint or Endpoint.from_url(url)
        self.database = int(parse_url(url).get("db", 0))

    def client(self) -> Redis:
        options = connection_options(self.timeout_s)
        return Redis.from_pool(BlockingConnectionPool.from_url(self._url, timeout=self.timeout_s, **options))

    async def find(self) -> Endpoint:
        return self._endpoint

    async def aclose(self) -> None:
        """Nothing is held."""
