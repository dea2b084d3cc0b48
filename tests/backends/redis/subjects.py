"""Sinks under test, on any servers."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from streamsink.backends.gateway.delivery import GatewayDelivery
from streamsink.backends.redis.factory import redis_sink
from streamsink.backends.redis.keys import Keys
from streamsink.backends.redis.scripts import Script
from streamsink.backends.redis.servers import servers_of
from streamsink.backends.redis.settings import RedisSettings
from streamsink.backends.redis.timeline import RedisTimeline
from streamsink.core.composed import ComposedSink
from streamsink.core.delivery import ServesClients, ServesSockets
from streamsink.core.identity import User
from streamsink.core.options import PublishOptions
from streamsink.core.runtime import Runtime
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings, Times
from streamsink.hosts.sockets import websocket_protocol
from streamsink.testing.serving import serving
from streamsink.testing.signalr import SignalRClient, signalr_client
from streamsink.testing.subject import Subject

from .support import StoreClock, fresh_prefix

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamsink.backends.redis.sink import RedisSink
    from streamsink.core.cursor import Cursor
    from streamsink.core.sink import StreamSink


FORGET = Script.of("""
local newer = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1] .. '-' .. ARGV[2], '+')
for _, entry in ipairs(newer) do redis.call('XDEL', KEYS[1], entry[1]) end
redis.call('HSET', KEYS[2], 'e', ARGV[1], 'q', ARGV[2])
local snapshot = redis.call('HGET', KEYS[2], 's')
if #newer > 0 and snapshot then redis.call('HDEL', KEYS[2], 's', 'sn') end
""")


class RedisSubject(Subject):
    """A sink on an injected clock. Its clients connect to this very process, or to another node."""

    def __init__(self, url: str) -> None:
        self.prefix = fresh_prefix()
        self.clock = StoreClock(self.prefix, is_cluster="+cluster" in url)
        self.runtime = Runtime(now_ms=lambda: self.clock.now_ms)
        self._store = servers_of(url, timeout_s=5).store()
        self._keys = Keys(self.prefix)
        self.url = ""

    async def prepare(self) -> None:
        await self.clock.advance(self._store)

    async def aclose(self) -> None:
        await self.sink.aclose()
        await self._store.aclose()

    def client(self, user_id: str) -> AbstractAsyncContextManager[SignalRClient]:
        return self._client(user_id)

    @asynccontextmanager
    async def _client(self, name: str) -> AsyncIterator[SignalRClient]:
        async with signalr_client(await self.sink.connect_info(_Named(subject=name), self.url)) as client:
            yield client

    async def pass_time(self, seconds: float) -> None:
        await self.clock.advance(self._store, seconds)

    async def lose(self, thread: str, after: Cursor) -> bool:
        keys = (self._keys.stream(thread), self._keys.hash(thread))
        await self._store.run(FORGET, keys, [after.epoch, after.seq])
        return True


class _Named(User):
    """A user whose id is readable: the contract names its users."""

    @property
    def id(self) -> str:
        return self.subject


@asynccontextmanager
async def timeline_alone(url: str) -> AsyncIterator[RedisSubject]:
    """The redis timeline under the gateway of one process."""
    subject = RedisSubject(url)
    store = servers_of(url, timeout_s=5).store()
    timeline = RedisTimeline(store, Keys(subject.prefix), runtime=subject.runtime, scripts=subject.clock.scripts)
    delivery = GatewayDelivery([b"k" * 32])
    subject.sink = ComposedSink(timeline, delivery, options=PublishOptions(lease_s=0.6), runtime=subject.runtime)
    async with _served(subject, subject.sink):
        yield subject


@asynccontextmanager
async def one_node(url: str) -> AsyncIterator[RedisSubject]:
    """A node that publishes, and has the clients."""
    subject = RedisSubject(url)
    subject.sink = _node(url, subject)
    async with _served(subject, subject.sink):
        yield subject


@asynccontextmanager
async def two_nodes(url: str) -> AsyncIterator[RedisSubject]:
    """One publishes, and is asked to let clients join; the other one has them."""
    subject = RedisSubject(url)
    subject.sink = _node(url, subject, has_gateway=False)
    other = _node(url, subject)
    try:
        async with _served(subject, other):
            yield subject
    finally:
        await other.aclose()


def _node(url: str, subject: RedisSubject, *, has_gateway: bool = True) -> RedisSink:
    settings = Settings(secret=SecretRing.parse(f"k1:{'s' * 48}"), times=Times(lease_s=0.6), window_ms=25)
    own = RedisSettings(url=url, prefix=subject.prefix)
    return redis_sink(settings, own, subject.runtime, has_gateway=has_gateway, scripts=subject.clock.scripts)


@asynccontextmanager
async def _served(subject: RedisSubject, sink: StreamSink) -> AsyncIterator[None]:
    clients = sink.ability(ServesClients)
    assert clients is not None
    ws = websocket_protocol(lambda: sink.ability(ServesSockets))
    async with serving(clients.client_app, ws=ws) as subject.url:
        try:
            await subject.prepare()
            yield
        finally:
            await subject.aclose()
