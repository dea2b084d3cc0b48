"""A master that sentinels watch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from streamsink.backends.redis.endpoint import Endpoint, addresses
from streamsink.backends.redis.kinds import OneServer
from streamsink.backends.redis.single import connection_options
from streamsink.core.errors import SettingsError, UnavailableError

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["Watched"]

_SENTINEL: Final = "+sentinel"
_SENTINEL_PORT: Final = 26_379
_SENTINEL_LOGIN: Final = ("sentinel_username", "sentinel_password")
_EXPECTED: Final = (
    "a URL such as `redis+sentinel://user:password@sentinel-1:26379,sentinel-2:26379/mymaster/0`; "
    "`rediss+sentinel://` for TLS"
)


class Watched(OneServer):
    """A master that sentinels watch, and name."""

    def __init__(self, url: str, timeout_s: float) -> None:
        try:
            named = _Named.parse(url)
        except ValueError:
            raise SettingsError("STREAM_REDIS_URL", _EXPECTED) from None
        self.timeout_s = timeout_s
        self._service, self.database = named.service, named.database
        self._endpoint = Endpoint.from_url(named.plain_url)
        options: dict[str, Any] = dict(parse_url(named.plain_url))
        for name in ("host", "port", "db"):
            options.pop(name, None)
        if options.pop("connection_class", None) is SSLConnection:
            options["ssl"] = True
        encryption = {name: value for name, value in options.items() if name.startswith("ssl")}
        limits = _limits(timeout_s / (len(named.sentinels) + 1))
        self._sentinel = Sentinel(named.sentinels, sentinel_kwargs={**limits, **encryption, **named.sentinel_login})  # type: ignore[no-untyped-call]
        self._options = {**options, **connection_options(timeout_s), "db": named.database}

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


def _limits(timeout_s: float) -> dict[str, Any]:
    """Of asking one sentinel. They are asked in turn: one that is gone must leave the others their time."""
    return {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),  # redis-py's own takes longer than all of them may
    }


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
        return cls(unquote(service), int(database or 0), [*addresses(hosts, _SENTINEL_PORT)], of_sentinels, plain_url)
