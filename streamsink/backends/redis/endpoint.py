"""Where a server listens, and how to be let in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from redis.asyncio.connection import SSLConnection, parse_url
from redis.exceptions import RedisError

from streamsink.core.errors import SettingsError

if TYPE_CHECKING:
    import ssl

__all__ = ["Address", "Endpoint", "addresses"]


class Address(NamedTuple):
    """Of one server among several."""

    host: str
    port: int


def addresses(text: str, port: int) -> list[Address]:
    """What ``host:port,host,[::1]:port`` says.

    Args:
        port: where none is said.

    Raises:
        ValueError: nothing.
    """
    found = []
    for entry in text.split(","):
        place = urlsplit(f"//{entry}")
        if not place.hostname:
            raise ValueError("no host")
        found.append(Address(place.hostname, place.port or port))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Args:
    host, port: of the server.
    path: of its Unix socket; then host, port and TLS do not count.
    username: None: the server's default user.
    password: None: nobody signs in.
    tls: None: in the clear.
    """

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @classmethod
    def from_url(cls, url: str) -> Endpoint:
        """What a URL means to redis-py, TLS options (``ssl_…``) included. Reads certificates: call it at start-up.

        Raises:
            SettingsError: it means nothing, or its certificates cannot be read.
        """
        try:
            options: dict[str, Any] = dict(parse_url(url))
            is_tls = options.pop("connection_class", None) is SSLConnection
            return cls(
                host=options.get("host", "localhost"),
                port=int(options.get("port", 6379)),
                path=options.get("path"),
                username=options.get("username"),
                password=options.get("password"),
                tls=_tls(options) if is_tls else None,
            )
        except (OSError, RedisError, TypeError, ValueError):  # their texts may quote it
            expected = "a Redis URL whose `ssl_` options redis-py knows and whose certificates can be read"
            raise SettingsError("STREAM_REDIS_URL", expected) from None


def _tls(options: dict[str, Any]) -> ssl.SSLContext:
    """The context that redis-py makes of the same options, so that commands and messages trust the same servers."""
    connection = SSLConnection(**{name: value for name, value in options.items() if name.startswith("ssl_")})
    return connection.ssl_context.get()
