"""The signalr backend is held to the contract of a sink, against a local Azure SignalR Service."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from streamsink.backends.memory.timeline import MemoryTimeline
from streamsink.backends.signalr.twin import Fault, Twin, twin
from streamsink.core.identity import User
from streamsink.core.runtime import Runtime
from streamsink.core.settings import Settings, Times
from streamsink.testing.contract import CONTRACT, Check
from streamsink.testing.signalr import SignalRClient, signalr_client
from streamsink.testing.subject import Subject

from .support import make_sink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamsink.core.cursor import Cursor

pytestmark = pytest.mark.service


class SignalRSubject(Subject):
    """A sink on a memory timeline whose clock the test owns; the service's clock is the real one."""

    def __init__(self, service: Twin) -> None:
        self._service = service
        self._now_ms = 1_700_000_000_000
        runtime = Runtime(now_ms=lambda: self._now_ms)
        self._timeline = MemoryTimeline(runtime=runtime)
        settings = Settings(times=Times(lease_s=0.6), window_ms=25)
        self.sink = make_sink(service.connection_string, timeline=self._timeline, settings=settings)

    def client(self, user_id: str) -> AbstractAsyncContextManager[SignalRClient]:
        return self._client(user_id)

    @asynccontextmanager
    async def _client(self, name: str) -> AsyncIterator[SignalRClient]:
        async with signalr_client(await self.sink.connect_info(_Named(subject=name), "http://app.test")) as client:
            yield client

    async def pass_time(self, seconds: float) -> None:
        self._now_ms += int(seconds * 1000)

    async def lose(self, thread: str, after: Cursor) -> bool:
        self._timeline.log(thread).forget_after(after)
        return True

    def fail_deliveries(self, count: int) -> bool:
        self._service.faults.add(Fault(on="send", status=503, count=count))
        return True


class _Named(User):
    """A user whose id is readable: the contract names its users."""

    @property
    def id(self) -> str:
        return self.subject


@asynccontextmanager
async def make_subject() -> AsyncIterator[SignalRSubject]:
    async with twin() as service:
        subject = SignalRSubject(service)
        try:
            yield subject
        finally:
            await subject.sink.aclose()


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
async def test_contract(check: Check) -> None:
    await check(make_subject)
