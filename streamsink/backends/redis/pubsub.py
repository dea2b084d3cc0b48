"""One connection for sharded pub/sub: RESP2 on asyncio, hiredis in C, messages handed on as they are read."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import hiredis

from streamsink.core.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from streamsink.backends.redis.channels import Listener
    from streamsink.backends.redis.endpoint import Endpoint
    from streamsink.backends.redis.subscriptions import Command

__all__ = ["PubSubConnection", "Reply", "connect", "log_failure"]

_log = logging.getLogger("streamsink")

# A list, bytes, or the server's error.
Reply: TypeAlias = Any

_NAME: Final = b"streamsink-subscriber"
_OLDEST: Final = 7
_TOO_OLD: Final = "sharded pub/sub needs Redis 7 or newer, or Valkey"
_LOST: Final = "the connection to Redis was lost"
_REFUSALS: Final = {
    "WRONGPASS": "Redis refused the user or the password in STREAM_REDIS_URL",
    "NOAUTH": "Redis wants a password, and STREAM_REDIS_URL has none",
}


class PubSubConnection(asyncio.Protocol):
    """Use :func:`connect`.

    Args:
        routes: who hears a channel, read for every message.
        on_reply: takes every reply that is no message; a ValueError ends the connection.

    Attributes:
        lost: done when the connection is no more.
        reason: why it is not open, once it is not.
        began_s, heard_s: when it was made and when something last came, in the loop's time.
    """

    def __init__(self, routes: Mapping[bytes, tuple[Listener, ...]], on_reply: Callable[[Reply], None]) -> None:
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.reason: str = _LOST
        self.began_s: float = loop.time()
        self.heard_s: float = self.began_s
        self._time = loop.time
        self._routes = routes
        self._on_reply = on_reply
        self._greeting: asyncio.Future[Reply] | None = loop.create_future()
        self._reader = hiredis.Reader()
        self._transport: asyncio.WriteTransport | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can be written to."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.heard_s = self._time()
        next_reply = self._reader.gets
        together: dict[bytes, list[bytes]] = {}
        try:
            self._reader.feed(data)
            while (reply := next_reply()) is not False:
                if reply.__class__ is list and reply[0] == b"smessage":
                    _, channel, payload = reply
                    if channel in together:
                        together[channel].append(payload)
                    else:
                        together[channel] = [payload]
                else:
                    self._hand_on(together)  # in order
                    self._take(reply)
        except (hiredis.HiredisError, IndexError, ValueError):
            self.cut("Redis answered something that makes no sense")
        self._hand_on(together)

    def _hand_on(self, together: dict[bytes, list[bytes]]) -> None:
        routes = self._routes
        for channel, payloads in together.items():
            for listener in routes.get(channel, ()):
                try:
                    listener.on_messages(payloads)
                except Exception as error:
                    log_failure(error)
        together.clear()

    def write(self, commands: Iterable[Command]) -> None:
        """Send commands, all at once."""
        if self._transport is not None:
            self._transport.write(b"".join(map(_packed, commands)))

    async def greet(self, endpoint: Endpoint) -> None:
        """Sign in, and look at whether the server can do what is needed.

        ``HELLO`` does it all at once, and every user may say it.

        Raises:
            UnavailableError: this server will not do.
        """
        greeting = self._greeting
        if greeting is None:
            raise RuntimeError("a connection is greeted once")
        self.write([_hello(endpoint)])
        try:
            await asyncio.wait({greeting, self.lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._greeting = None
        if not greeting.done() or not self.is_open:
            raise UnavailableError(self.reason)
        _check(greeting.result())

    def cut(self, reason: str) -> None:
        """End it now; ``lost`` follows."""
        if self._transport is not None and not self._transport.is_closing():
            self.reason = reason
            self._transport.abort()

    async def aclose(self) -> None:
        """End it; idempotent."""
        self.cut("the connection was closed")
        await asyncio.wait({self.lost})

    def _take(self, reply: Reply) -> None:
        if self._greeting is None:
            self._on_reply(reply)
        elif not self._greeting.done():
            self._greeting.set_result(reply)
        else:
            raise ValueError("more than one answer to a greeting")


async def connect(
    endpoint: Endpoint, routes: Mapping[bytes, tuple[Listener, ...]], on_reply: Callable[[Reply], None]
) -> PubSubConnection:
    """A connection that may be used. Takes as long as it takes.

    Raises:
        OSError: nobody there, or TLS failed.
        UnavailableError: this server will not do.
    """
    loop = asyncio.get_running_loop()
    connection = PubSubConnection(routes, on_reply)
    if endpoint.path is not None:
        await loop.create_unix_connection(lambda: connection, endpoint.path)
    else:
        await loop.create_connection(lambda: connection, endpoint.host, endpoint.port, ssl=endpoint.tls)
    try:
        await connection.greet(endpoint)
    except BaseException:
        await connection.aclose()
        raise
    return connection


def _packed(command: Command) -> bytes:
    return b"*%d\r\n%b" % (len(command), b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in command]))


def _hello(endpoint: Endpoint) -> Command:
    command: Command = (b"HELLO", b"2")
    if endpoint.password is not None:
        command += (b"AUTH", (endpoint.username or "default").encode(), endpoint.password.encode())
    return (*command, b"SETNAME", _NAME)


def _check(greeting: Reply) -> None:
    if isinstance(greeting, Exception):
        raise UnavailableError(_refusal(str(greeting)))
    try:
        told = dict(zip(greeting[::2], greeting[1::2], strict=True))
        major = int(told[b"version"].partition(b".")[0])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UnavailableError(_TOO_OLD) from None
    if major < _OLDEST:
        raise UnavailableError(f"{_TOO_OLD}; this one is {major}")


def _refusal(text: str) -> str:
    """Of a server's error only the first word is told: a server that does not know ``HELLO`` quotes the password."""
    if text.startswith(("ERR unknown command", "NOPROTO")):
        return _TOO_OLD
    word = text.partition(" ")[0][:32]
    return _REFUSALS.get(word, f"Redis refused the connection ({word})")


def log_failure(error: Exception) -> None:
    """A listener's bug, without the error's text: it may quote what was published."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = "" if at is None else f" at {at.tb_frame.f_code.co_filename}:{at.tb_lineno}"
    _log.error("a listener of a Redis channel failed: %s%s", type(error).__name__, where)
