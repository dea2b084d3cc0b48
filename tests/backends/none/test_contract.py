"""The history ``none`` under the memory backend's gateway is held to what of the contract is not about history."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from streamsink.backends.gateway.delivery import GatewayDelivery
from streamsink.backends.none.timeline import NoTimeline
from streamsink.core.composed import ComposedSink
from streamsink.core.errors import UnavailableError
from streamsink.core.identity import User
from streamsink.core.options import PublishOptions
from streamsink.core.runtime import Runtime
from streamsink.testing.contract import CONTRACT, Check, NotApplicableError
from streamsink.testing.serving import serving
from streamsink.testing.signalr import SignalRClient, signalr_client
from streamsink.testing.subject import Subject

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from streamsink.core.events import Event

pytestmark = pytest.mark.service

ABOUT_HISTORY = {
    "pages_are_bounded_and_complete",
    "places_that_never_were_are_gone",
    "a_store_that_fell_behind_begins_an_epoch",
    "snapshots_are_compare_and_set",
    "a_run_survives_a_store_that_fell_behind",
}


class WatchedDelivery(GatewayDelivery):
    """A gateway that notes what it delivers, and refuses the next deliveries.

    Attributes:
        seen: what was delivered, by thread, each place once, as a reader takes it.
    """

    failures = 0

    def __init__(self) -> None:
        super().__init__([b"k" * 32])
        self.seen: dict[str, dict[str, Event]] = {}

    async def deliver(self, thread: str, events: Sequence[Event]) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise UnavailableError("not now")
        for event in events:
            self.seen.setdefault(thread, {}).setdefault(event.cursor, event)
        await super().deliver(thread, events)


class NoHistorySubject(Subject):
    """Runs that nobody keeps, on an injected clock."""

    keeps_history = False

    def __init__(self) -> None:
        self._now_ms = 1
        runtime = Runtime(now_ms=lambda: self._now_ms)
        self._delivery = WatchedDelivery()
        options = PublishOptions(lease_s=0.6)
        self.sink = ComposedSink(NoTimeline(runtime=runtime), self._delivery, options=options, runtime=runtime)
        self.app = self._delivery.client_app
        self.url = ""

    def client(self, user_id: str) -> AbstractAsyncContextManager[SignalRClient]:
        return self._client(user_id)

    @asynccontextmanager
    async def _client(self, name: str) -> AsyncIterator[SignalRClient]:
        async with signalr_client(await self.sink.connect_info(_Named(subject=name), self.url)) as client:
            yield client

    async def pass_time(self, seconds: float) -> None:
        self._now_ms += int(seconds * 1000)

    async def events(self, thread: str) -> list[Event]:
        assert await super().events(thread) == []
        return list(self._delivery.seen.get(thread, {}).values())

    def fail_deliveries(self, count: int) -> bool:
        self._delivery.failures = count
        return True


class _Named(User):
    """A user whose id is readable: the contract names its users."""

    @property
    def id(self) -> str:
        return self.subject


@asynccontextmanager
async def make_subject() -> AsyncIterator[NoHistorySubject]:
    subject = NoHistorySubject()
    async with serving(subject.app) as subject.url:
        try:
            yield subject
        finally:
            await subject.sink.aclose()


@pytest.mark.parametrize(
    "check", [check for check in CONTRACT if check.__name__ not in ABOUT_HISTORY], ids=lambda check: check.__name__
)
async def test_contract(check: Check) -> None:
    await check(make_subject)


@pytest.mark.parametrize("name", sorted(ABOUT_HISTORY))
async def test_what_is_about_history_says_so(name: str) -> None:
    (check,) = (check for check in CONTRACT if check.__name__ == name)

    with pytest.raises(NotApplicableError):
        await check(make_subject)
