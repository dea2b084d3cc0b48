"""The memory backend is held to the contract of a sink, with real clients on a real port."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from streamsink.backends.gateway.delivery import GatewayDelivery
from streamsink.backends.memory.timeline import MemoryTimeline
from streamsink.core.composed import ComposedSink
from streamsink.core.delivery import ServesSockets
from streamsink.core.errors import UnavailableError
from streamsink.core.identity import User
from streamsink.core.options import PublishOptions
from streamsink.core.runtime import Runtime
from streamsink.hosts.sockets import websocket_protocol
from streamsink.testing.contract import CONTRACT, Check
from streamsink.testing.serving import serving
from streamsink.testing.signalr import SignalRClient, signalr_client
from streamsink.testing.subject import Subject

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from streamsink.core.cursor import Cursor
    from streamsink.core.events import Event

pytestmark = pytest.mark.service


class FailingDelivery(GatewayDelivery):
    """A gateway that refuses the next deliveries."""

    failures = 0

    async def deliver(self, thread: str, events: Sequence[Event]) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise UnavailableError("not now")
        await super().deliver(thread, events)


class MemorySubject(Subject):
    """The memory backend on an injected clock."""

    def __init__(self) -> None:
        self._now_ms = 1_700_000_000_000
        runtime = Runtime(now_ms=lambda: self._now_ms)
        self._timeline = MemoryTimeline(runtime=runtime)
        self._delivery = FailingDelivery([b"k" * 32])
        options = PublishOptions(lease_s=0.6)
        self.sink = ComposedSink(self._timeline, self._delivery, options=options, runtime=runtime)
        self.app = self._delivery.client_app
        self.url = ""

    def client(self, user_id: str) -> AbstractAsyncContextManager[SignalRClient]:
        return self._client(user_id)

    @asynccontextmanager
    async def _client(self, name: str) -> AsyncIterator[SignalRClient]:
        user = _Named(subject=name)
        async with signalr_client(await self.sink.connect_info(user, self.url)) as client:
            yield client

    async def pass_time(self, seconds: float) -> None:
        self._now_ms += int(seconds * 1000)

    async def lose(self, thread: str, after: Cursor) -> bool:
        self._timeline.log(thread).forget_after(after)
        return True

    def fail_deliveries(self, count: int) -> bool:
        self._delivery.failures = count
        return True


class _Named(User):
    """A user whose id is readable: the contract names its users."""

    @property
    def id(self) -> str:
        return self.subject


@asynccontextmanager
async def make_subject(*, past_asgi: bool) -> AsyncIterator[MemorySubject]:
    subject = MemorySubject()
    ws = websocket_protocol(lambda: subject.sink.ability(ServesSockets) if past_asgi else None)
    async with serving(subject.app, ws=ws) as subject.url:
        try:
            yield subject
        finally:
            await subject.sink.aclose()


@pytest.mark.parametrize("past_asgi", [False, True], ids=["asgi", "sockets"])
@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
async def test_contract(check: Check, past_asgi: bool) -> None:
    await check(partial(make_subject, past_asgi=past_asgi))
