"""The redis backend, and its timeline under another delivery, are held to the contract of a sink."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from streamsink.backends.gateway.delivery import GatewayDelivery
from streamsink.backends.redis.keys import Keys
from streamsink.backends.redis.timeline import RedisTimeline
from streamsink.core.composed import ComposedSink
from streamsink.core.delivery import ServesSockets
from streamsink.core.identity import User
from streamsink.core.options import PublishOptions
from streamsink.core.runtime import Runtime
from streamsink.hosts.sockets import websocket_protocol
from streamsink.testing.contract import CONTRACT, Check
from streamsink.testing.serving import serving
from streamsink.testing.signalr import SignalRClient, signalr_client
from streamsink.testing.subject import Subject

from .support import StoreClock, fresh_prefix, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamsink.core.cursor import Cursor
    from streamsink.testing.valkey import ValkeyServer

pytestmark = pytest.mark.service

FORGET = """
local newer = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1] .. '-' .. ARGV[2], '+')
for _, entry in ipairs(newer) do redis.call('XDEL', KEYS[1], entry[1]) end
redis.call('HSET', KEYS[2], 'e', ARGV[1], 'q', ARGV[2])
local snapshot = redis.call('HGET', KEYS[2], 's')
if #newer > 0 and snapshot then redis.call('HDEL', KEYS[2], 's', 'sn') end
"""


class TimelineSubject(Subject):
    """The redis timeline under this process's own gateway, on an injected clock."""

    def __init__(self, valkey: ValkeyServer) -> None:
        prefix = fresh_prefix()
        self._clock = StoreClock(prefix)
        self._store = open_store(valkey)
        self._keys = Keys(prefix)
        runtime = Runtime(now_ms=lambda: self._clock.now_ms)
        self._timeline = RedisTimeline(self._store, self._keys, runtime=runtime, scripts=self._clock.scripts)
        delivery = GatewayDelivery([b"k" * 32])
        self.sink = ComposedSink(self._timeline, delivery, options=PublishOptions(lease_s=0.6), runtime=runtime)
        self.app = delivery.client_app
        self.url = ""

    async def prepare(self) -> None:
        await self._clock.advance(self._store)

    def client(self, user_id: str) -> AbstractAsyncContextManager[SignalRClient]:
        return self._client(user_id)

    @asynccontextmanager
    async def _client(self, name: str) -> AsyncIterator[SignalRClient]:
        async with signalr_client(self.sink.connect_info(_Named(subject=name), self.url)) as client:
            yield client

    async def pass_time(self, seconds: float) -> None:
        await self._clock.advance(self._store, seconds)

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
async def make_subject(valkey: ValkeyServer) -> AsyncIterator[TimelineSubject]:
    subject = TimelineSubject(valkey)
    ws = websocket_protocol(lambda: subject.sink.ability(ServesSockets))
    async with serving(subject.app, ws=ws) as subject.url:
        try:
            await subject.prepare()
            yield subject
        finally:
            await subject.sink.aclose()


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
async def test_timeline_contract(check: Check, valkey: ValkeyServer) -> None:
    await check(partial(make_subject, valkey))
