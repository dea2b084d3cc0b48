"""Which servers a URL means, and how to reach the one that can be written now."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError

from streamsink.backends.redis.endpoint import Endpoint
from streamsink.core.errors import SettingsError, UnavailableError

__all__ = ["Servers", "servers_of"]

_CONNECTIONS: Final = 8
_SENTINEL: Final = "+sentinel"
_SENTINEL_PORT: Final = 26_379
_SENTINEL_LOGIN: Final = ("sentinel_username", "sentinel_password")
_EXPECTED: Final = (
    "a URL such as `redis+sentinel://user:password@sentinel-1:26379,sentinel-2:26379/mymaster/0`; "
    "`rediss+sentinel://` for TLS"
)


class Servers(ABC):
    """Attributes:
    database: the number of the database.
    """

    database: int = 0

    @abstractmethod
    def client(self) -> Redis:
        """A client for one event loop; it connects when it is used, to the server that can be written then."""

    @abstractmethod
    async def find(self) -> Endpoint:
        """Where that server is.

        Raises:
            UnavailableError: nobody knows now.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Release what finding it took; idempotent."""


def servers_of(url: str, *, timeout_s: float) -> Servers:
    """What ``STREAM_REDIS_URL`` means.

    Args:
        timeout_s: for each exchange with a server.

    Raises:
        SettingsError: nothing.
    """
    if _SENTINEL in url.partition("://")[0]:
        return _Watched(url, timeout_s)
    return _Single(url, timeout_s)


def _options(timeout_s: float) -> dict[str, Any]:
    return {
        # Not for every reply: a store has a time limit of its own, and redis-py's would cost more than the rest.
        "socket_timeout": None,
        "socket_connect_timeout": timeout_s,
        "max_connections": _CONNECTIONS,
        # Once, for a pooled connection that has gone stale. Patience is for who waits for the answer.
        "retry": Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.1), 1),
    }


class _Single(Servers):
    """One address, whoever answers there."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._endpoint = Endpoint.from_url(url)
        self.database = int(parse_url(url).get("db", 0))

    def client(self) -> Redis:
        pool = BlockingConnectionPool.from_url(self._url, timeout=self._timeout_s, **_options(self._timeout_s))
        return Redis.from_pool(pool)

    async def find(self) -> Endpoint:
        return self._endpoint

    async def aclose(self) -> None:
        """Nothing is held."""


class _Watched(Servers):
    """A master that sentinels watch, and name."""

    def __init__(self, url: str, timeout_s: float) -> None:
        try:
            named = _Named.parse(url)
        except ValueError:
            raise SettingsError("STREAM_REDIS_URL", _EXPECTED) from None
        self._service, self.database = named.service, named.database
        self._endpoint = Endpoint.from_url(named.plain_url)
        options: dict[str, Any] = dict(parse_url(named.plain_url))
        for name in ("host", "port", "db"):
            options.pop(name, None)
        if options.pop("connection_class", None) is SSLConnection:
            options["ssl"] = True
        encryption = {name: value for name, value in options.items() if name.startswith("ssl")}
        limits = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
        self._sentinel = Sentinel(named.sentinels, sentinel_kwargs={**limits, **encryption, **named.sentinel_login})  # type: ignore[no-untyped-call]
        self._options = {**options, **_options(timeout_s), "db": named.database}

    def client(self) -> Redis:
        master: Redis = self._sentinel.master_for(self._service, **self._options)
        return master

    async def find(self) -> Endpoint:
        try:
            host, port = await self._sentinel.discover_master(self._service)
        except (RedisError, OSError) as error:
            raise UnavailableError("no sentinel knows a master now") from error
        return replace(self._endpoint, host=host, port=int(port))

    async def aclose(self) -> None:
        for sentinel in self._sentinel.sentinels:
            await sentinel.aclose()


@dataclass(frozen=True, slots=True)
class _Named:
    """What a sentinel URL says: ``redis+sentinel://user:password@host:port,host:port/service/database?…``."""

    service: str
    database: int
    sentinels: list[tuple[str, int]]
    sentinel_login: dict[str, str]
    plain_url: str

    @classmethod
    def parse(cls, url: str) -> _Named:
        parts = urlsplit(url)
        service, _, database = parts.path.removeprefix("/").partition("/")
        if not service:
            raise ValueError("no service")
        login, at, hosts = parts.netloc.rpartition("@")
        options = parse_qsl(parts.query)
        of_sentinels = {name.removeprefix("sentinel_"): value for name, value in options if name in _SENTINEL_LOGIN}
        rest = urlencode([option for option in options if option[0] not in _SENTINEL_LOGIN])
        plain_url = urlunsplit((parts.scheme.removesuffix(_SENTINEL), f"{login}{at}master", "", rest, ""))
        return cls(unquote(service), int(database or 0), _hosts(hosts), of_sentinels, plain_url)


def _hosts(text: str) -> list[tuple[str, int]]:
    found = []
    for entry in text.split(","):
        place = urlsplit(f"//{entry}")
        if not place.hostname:
            raise ValueError("no host")
        found.append((place.hostname, place.port or _SENTINEL_PORT))
    return found
