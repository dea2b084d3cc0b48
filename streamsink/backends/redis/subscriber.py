"""Listens to sharded channels on one connection, and brings it back when it is lost."""

from __future__ import annotations

import asyncio
import logging
import random as random_numbers
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from streamsink.backends.redis.channels import Channels, Listener
from streamsink.backends.redis.errors import tls_failure
from streamsink.backends.redis.pubsub import connect, log_failure
from streamsink.backends.redis.subscriptions import Subscriptions
from streamsink.core.errors import StreamSinkError, UnavailableError
from streamsink.core.runtime import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from streamsink.backends.redis.endpoint import Endpoint
    from streamsink.backends.redis.pubsub import PubSubConnection, Reply
    from streamsink.backends.redis.subscriptions import Outcome

__all__ = ["Listener", "Subscriber"]

_log = logging.getLogger("streamsink")

_CLOSED: Final = "the subscriber is closed"
_PONGS: Final = (b"pong", b"PONG")  # where something is subscribed to, and where nothing is


class Subscriber(Channels):
    """One connection for all channels. It connects when it is first used and until it is closed, and writes what one
    loop turn asks for at once.

    Args:
        find: says where to connect, each time anew.
        timeout_s: for connecting, for a confirmation, and for the answer to a ping.
        ping_s: silence, before the server is asked whether it is there.
        retry_first_s: the first wait before another try; twice as long each time.
        retry_longest_s: the longest.
        random: a number in [0, 1), for jitter.
        on_moved: another server has a channel's slot: called with the channel and the server's words. Who listens to
            it is to listen there. None: that is a refusal as others are, and the connection is made anew.
    """

    def __init__(
        self,
        find: Callable[[], Awaitable[Endpoint]],
        *,
        timeout_s: float = 5.0,
        ping_s: float = 5.0,
        retry_first_s: float = 0.05,
        retry_longest_s: float = 2.0,
        random: Callable[[], float] = random_numbers.random,
        on_moved: Callable[[bytes, str], None] | None = None,
    ) -> None:
        self._find = find
        self._timeout_s = timeout_s
        self._ping_s = ping_s
        self._retry_first_s = retry_first_s
        self._retry_longest_s = retry_longest_s
        self._random = random
        self._on_moved = on_moved
        self._waiters: set[asyncio.Future[str | None]] = set()  # None: confirmed; else why not
        self._subscriptions: Subscriptions[asyncio.Future[str | None]] = Subscriptions()
        self._tasks = TaskOwner()
        self._task: asyncio.Task[None] | None = None
        self._connection: PubSubConnection | None = None
        self._tried = asyncio.Event()
        self._reason = "not connected to Redis yet"
        self._is_flush_due = False
        self._is_loss_told = False
        self._is_closed = False

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and self._connection.is_open

    async def listen(self, channel: bytes, listener: Listener) -> None:
        self._start()
        waiter: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        if self._subscriptions.listen(channel, listener, waiter):
            return
        self._flush_soon()
        try:
            await self._confirmation(waiter)
        except BaseException:
            self._subscriptions.give_up(channel, listener, waiter)
            self._flush_soon()
            raise
        self._subscriptions.done(channel, listener, waiter)

    def unlisten(self, channel: bytes, listener: Listener) -> None:
        _settle(self._subscriptions.unlisten(channel, listener), "nobody wants to listen any more")
        self._flush_soon()

    async def check(self) -> None:
        self._start()
        await self._tried.wait()
        if not self.is_connected:
            raise UnavailableError(self._why)

    async def aclose(self) -> None:
        self._is_closed = True
        self._tried.set()
        _settle(self._waiters, _CLOSED)
        await self._tasks.aclose()

    @property
    def _why(self) -> str:
        """Why it is not connected."""
        if self._is_closed:
            return _CLOSED
        return self._reason if self._connection is None else self._connection.reason

    def _start(self) -> None:
        if self._is_closed:
            raise UnavailableError(_CLOSED)
        if self._task is None:
            self._task = self._tasks.start(self._run(), name="streamsink redis subscriber")

    async def _confirmation(self, waiter: asyncio.Future[str | None]) -> None:
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(self._timeout_s):
                refusal = await waiter
        except TimeoutError:
            reason = "Redis did not confirm a subscription in time" if self.is_connected else self._why
            raise UnavailableError(reason) from None
        finally:
            self._waiters.discard(waiter)
        if refusal is not None:
            raise UnavailableError(refusal)

    async def _run(self) -> None:
        delay_s = self._retry_first_s
        while True:
            if await self._live() > self._retry_longest_s:
                delay_s = self._retry_first_s
            await asyncio.sleep(delay_s * (0.5 + self._random() / 2))
            delay_s = min(delay_s * 2, self._retry_longest_s)

    async def _live(self) -> float:
        """One connection, from its begin to its end; returns for how long it could be used."""
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await connect(await self._find(), self._subscriptions.routes, self._take)
        except Exception as error:
            self._down(_reason_of(error))
            return 0.0
        finally:
            self._tried.set()
        self._up(connection)
        try:
            await self._watch(connection)
        finally:
            await connection.aclose()
            self._down(connection.reason)
        return connection.heard_s - connection.began_s

    async def _watch(self, connection: PubSubConnection) -> None:
        """Until it is lost; ask when it is silent, and cut it when it stays so."""
        time = asyncio.get_running_loop().time
        while not connection.lost.done():
            heard_s = connection.heard_s
            silent_s = time() - heard_s
            if silent_s < self._ping_s:
                await asyncio.wait({connection.lost}, timeout=self._ping_s - silent_s)
                continue
            self._subscriptions.ping()
            self._flush()
            await asyncio.wait({connection.lost}, timeout=self._timeout_s)
            if connection.heard_s == heard_s:
                connection.cut("Redis did not answer in time")
                return

    def _up(self, connection: PubSubConnection) -> None:
        self._connection = connection
        self._subscriptions.connected()
        self._flush()
        if self._is_loss_told:
            self._is_loss_told = False
            _log.info("connected to Redis again; its channels are subscribed to anew")

    def _down(self, reason: str) -> None:
        if self._connection is not None:
            self._connection = None
            self._subscriptions.disconnected()
        if self._is_closed:
            return
        self._reason = reason
        if not self._is_loss_told:
            self._is_loss_told = True
            _log.warning("no connection to the channels of Redis, trying again: %s", reason)

    def _flush_soon(self) -> None:
        if self._subscriptions.has_output and not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._connection is not None and self._connection.is_open:
            self._connection.write(self._subscriptions.output())
            self._flush_soon()  # a bounded number at once, so that the loop may do something else

    def _take(self, reply: Reply) -> None:
        """Whatever the server says that is no message."""
        kind = reply[0] if isinstance(reply, list) else reply
        if kind == b"ssubscribe":
            self._tell(self._subscriptions.subscribed(reply[1]))
        elif kind == b"sunsubscribe":
            self._subscriptions.unsubscribed(reply[1])
        elif kind in _PONGS:
            self._subscriptions.ponged()
        elif isinstance(reply, Exception):
            self._refuse(str(reply), self._subscriptions.refused())
        else:
            raise ValueError("no such reply")
        self._flush_soon()

    def _refuse(self, words: str, outcome: Outcome[asyncio.Future[str | None]]) -> None:
        if self._on_moved is not None and outcome.channel is not None and words.startswith("MOVED "):
            self._on_moved(outcome.channel, words)
            outcome = replace(outcome, must_reconnect=False)
        self._tell(outcome, _refusal(words))

    def _tell(self, outcome: Outcome[asyncio.Future[str | None]], refusal: str = "") -> None:
        _settle(outcome.confirmed, None)
        _settle(outcome.refused, refusal)
        for listener in outcome.gaps:
            try:
                listener.on_gap()
            except Exception as error:
                log_failure(error)
        if outcome.must_reconnect and self._connection is not None:
            self._connection.cut(refusal)


def _settle(waiters: Iterable[asyncio.Future[str | None]], outcome: str | None) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(outcome)


def _refusal(words: str) -> str:
    word = words.partition(" ")[0][:32]  # the rest may quote
    if word == "NOPERM":
        return "the user in STREAM_REDIS_URL may not subscribe to this channel; docs/redis.md has the rules it needs"
    return f"Redis refused a subscription ({word})"


def _reason_of(error: Exception) -> str:
    """Why a connection could not be made, without texts of foreign origin."""
    if isinstance(error, StreamSinkError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "Redis did not answer in time"
    return tls_failure(error) or f"Redis cannot be reached ({type(error).__name__})"
