"""The redis backend, and its timeline under another delivery, are held to the contract of a sink."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import pytest

from streamsink.backends.gateway.delivery import GatewayDelivery
from streamsink.backends.redis.factory import redis_sink
from streamsink.backends.redis.keys import Keys
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
from streamsink.testing.contract import CONTRACT, Check
from streamsink.testing.serving import serving
from streamsink.testing.signalr import SignalRClient, signalr_client
from streamsink.testing.subject import Subject

from .support import StoreClock, fresh_prefix, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from streamsink.backends.redis.sink import RedisSink
    from streamsink.core.cursor import Cursor
    from streamsink.core.sink import StreamSink
    from streamsink.testing.valkey import ValkeyServer

MakeFrom: TypeAlias = "Callable[[ValkeyServer], AbstractAsyncContextManager[Subject]]"

pytestmark = pytest.mark.service

FORGET = """
local newer = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1] .. '-' .. ARGV[2], '+')
for _, entry in ipairs(newer) do redis.call('XDEL', KEYS[1], entry[1]) end
redis.call('HSET', KEYS[2], 'e', ARGV[1], 'q', ARGV[2])
local snapshot = redis.call('HGET', KEYS[2], 's')
if #newer > 0 and snapshot then redis.call('HDEL', KEYS[2], 's', 'sn') end
"""


class RedisSubject(Subject):
    """A sink on an injected clock. Its clients connect to this very process, or to another node."""

    def __init__(self, valkey: ValkeyServer) -> None:
        self.prefix = fresh_prefix()
        self.clock = StoreClock(self.prefix)
        self.runtime = Runtime(now_ms=lambda: self.clock.now_ms)
        self._store = open_store(valkey)
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
        with self._store.mapped():
            await self._store.client.eval(FORGET, 2, *keys, after.epoch, after.seq)
        return True


class _Named(User):
    """A user whose id is readable: the contract names its users."""

    @property
    def id(self) -> str:
        return self.subject


@asynccontextmanager
async def timeline_alone(valkey: ValkeyServer) -> AsyncIterator[RedisSubject]:
    """The redis timeline under the gateway of one process."""
    subject = RedisSubject(valkey)
    timeline = RedisTimeline(
        open_store(valkey), Keys(subject.prefix), runtime=subject.runtime, scripts=subject.clock.scripts
    )
    delivery = GatewayDelivery([b"k" * 32])
    subject.sink = ComposedSink(timeline, delivery, options=PublishOptions(lease_s=0.6), runtime=subject.runtime)
    async with _served(subject, subject.sink):
        yield subject


@asynccontextmanager
async def one_node(valkey: ValkeyServer) -> AsyncIterator[RedisSubject]:
    """A node that publishes, and has the clients."""
    subject = RedisSubject(valkey)
    subject.sink = _node(valkey, subject)
    async with _served(subject, subject.sink):
        yield subject


@asynccontextmanager
async def two_nodes(valkey: ValkeyServer) -> AsyncIterator[RedisSubject]:
    """One publishes, and is asked to let clients join; the other one has them."""
    subject = RedisSubject(valkey)
    subject.sink = _node(valkey, subject, has_gateway=False)
    other = _node(valkey, subject)
    try:
        async with _served(subject, other):
            yield subject
    finally:
        await other.aclose()


def _node(valkey: ValkeyServer, subject: RedisSubject, *, has_gateway: bool = True) -> RedisSink:
    settings = Settings(secret=SecretRing.parse(f"k1:{'s' * 48}"), times=Times(lease_s=0.6), window_ms=25)
    own = RedisSettings(url=valkey.url, prefix=subject.prefix)
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


@pytest.mark.parametrize("make", [timeline_alone, one_node, two_nodes], ids=lambda make: make.__name__)
@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
async def test_contract(check: Check, make: MakeFrom, valkey: ValkeyServer) -> None:
    await check(partial(make, valkey))
