"""What a node publishes to its clients of what is published to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.backends.memory.timeline import MemoryTimeline
from streamsink.backends.redis.feeds import Feeds
from streamsink.backends.redis.keys import Keys
from streamsink.backends.redis.message import DELETED, encode
from streamsink.core.errors import UnavailableError
from streamsink.core.events import Event, Record
from streamsink.core.runs import Batch, RunRequest
from streamsink.core.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from streamsink.core.cursor import Cursor
    from streamsink.core.timeline import Page

KEYS = Keys("p")
CHANNEL = KEYS.channel("t")


class Channels:
    """A subscriber whose messages the test makes."""

    def __init__(self) -> None:
        self.listeners: dict[bytes, Any] = {}
        self.failure: Exception | None = None

    async def listen(self, channel: bytes, listener: Any) -> None:
        if self.failure is not None:
            raise self.failure
        self.listeners[channel] = listener

    def unlisten(self, channel: bytes, listener: Any) -> None:
        if self.listeners.get(channel) is listener:
            del self.listeners[channel]


class Timeline(MemoryTimeline):
    """One whose reads may fail."""

    failures = 0
    kind: type[Exception] = UnavailableError

    def __init__(self) -> None:
        super().__init__()
        self.reads = asyncio.Event()

    async def read(self, thread: str, after: Cursor | None, *, limit: int, max_bytes: int) -> Page:
        if self.failures > 0:
            self.failures -= 1
            raise self.kind("not now")
        self.reads.set()
        return await super().read(thread, after, limit=limit, max_bytes=max_bytes)


class World:
    """Feeds between a timeline and a list."""

    def __init__(self) -> None:
        self.channels = Channels()
        self.timeline = Timeline()
        self.published: list[int] = []
        self.seen = asyncio.Event()
        self.dissolved: list[str] = []
        self.feeds = Feeds(
            self.channels,  # type: ignore[arg-type]
            KEYS,
            self.timeline,
            publish=self._publish,
            dissolve=self.dissolved.append,
            runtime=Runtime(random=lambda: 0.0),
        )
        self._n = 0

    def _publish(self, _: str, batches: Sequence[Iterable[Event]]) -> None:
        self.published += [event.seq for events in batches for event in events]
        self.seen.set()

    async def append(self, count: int = 1) -> bytes:
        """The message about so many appended events."""
        if not self._n:
            await self.timeline.accept_run("t", RunRequest(correlation_id="r", agent_name="a"))
            await self.timeline.begin_attempt("t", "r", lease_s=30)
        records = (Record("agentMessage", b'{"a":1}'),) * count
        batch = Batch(correlation_id="r", attempt=1, first_n=self._n + 1, records=records)
        self._n += count
        return encode((await self.timeline.append("t", batch)).events(records))

    def hear(self, *payloads: bytes) -> None:
        self.channels.listeners[CHANNEL].on_messages(payloads)

    async def until(self, last: int) -> list[int]:
        """What was published, once the event with that number was."""
        async with asyncio.timeout(5):
            while last not in self.published:
                self.seen.clear()
                await self.seen.wait()
        return self.published


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.feeds.aclose()
    await world.feeds.aclose()


async def test_what_is_heard_is_published(world: World) -> None:
    await world.feeds.open("t")
    for _ in range(3):
        world.hear(await world.append(2))

    assert world.published == [1, 2, 3, 4, 5, 6]
    assert len(world.feeds) == 1


async def test_a_message_that_was_missed_is_read(world: World) -> None:
    await world.feeds.open("t")
    world.hear(await world.append())
    await world.append(3)
    world.hear(await world.append())

    assert sorted(set(await world.until(4))) == [1, 2, 3, 4, 5]


async def test_what_was_missed_while_nothing_was_heard_is_read(world: World) -> None:
    await world.append(2)
    await world.feeds.open("t")
    await world.append(3)

    world.channels.listeners[CHANNEL].on_gap()

    assert await world.until(5) == [3, 4, 5]


async def test_more_than_a_page_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamsink.backends.redis.feeds._PAGE_EVENTS", 10)
    await world.feeds.open("t")
    await world.append(95)

    world.channels.listeners[CHANNEL].on_gap()

    assert await world.until(95) == list(range(1, 96))


@pytest.mark.parametrize("kind", [UnavailableError, ValueError])
async def test_reading_is_tried_again(world: World, kind: type[Exception], caplog: pytest.LogCaptureFixture) -> None:
    """Also after a bug of ours: nothing else would bring what was missed."""
    await world.append(1)
    await world.feeds.open("t")
    await world.append(1)
    world.timeline.failures, world.timeline.kind = 2, kind

    world.channels.listeners[CHANNEL].on_gap()

    assert await world.until(2) == [2]
    assert kind.__name__ in caplog.text


async def test_of_a_place_that_is_gone_everything_newer_is_published(world: World) -> None:
    await world.append(5)
    await world.feeds.open("t")
    log = world.timeline.log("t")
    del log._places[:3], log._events[:3]
    world.channels.listeners[CHANNEL].seq = 2

    world.channels.listeners[CHANNEL].on_gap()

    assert await world.until(5) == [4, 5]


async def test_what_a_lost_epoch_showed_is_not_shown_again(world: World) -> None:
    await world.append(5)
    await world.feeds.open("t")
    world.channels.listeners[CHANNEL].epoch = "9999999999999"
    world.timeline.reads.clear()

    world.channels.listeners[CHANNEL].on_gap()
    async with asyncio.timeout(5):
        await world.timeline.reads.wait()

    assert world.published == []


async def test_another_epoch_from_its_beginning_is_no_hole(world: World) -> None:
    await world.append(1)
    await world.feeds.open("t")
    for seq in (1, 2):
        world.hear(encode([Record("x", b'{"a":1}').at("9999999999999", seq)]))

    assert world.published == [1, 2]


async def test_a_deleted_thread_is_dissolved(world: World) -> None:
    await world.feeds.open("t")
    world.hear(await world.append(2), DELETED)

    assert (world.published, world.dissolved) == ([1, 2], ["t"])


async def test_nonsense_costs_nothing_of_what_came_with_it(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.feeds.open("t")
    first, lost, last = [await world.append() for _ in range(3)]
    world.hear(first, b"a prompt" + lost, last)

    assert sorted(set(await world.until(2))) == [1, 2, 3]
    assert world.published[:2] == [1, 3]
    assert "makes no sense" in caplog.text
    assert "a prompt" not in caplog.text


async def test_who_closed_hears_and_mends_nothing_more(world: World) -> None:
    await world.feeds.open("t")
    feed = world.channels.listeners[CHANNEL]
    world.feeds.close("t")
    world.feeds.close("t")
    await world.append(1)

    feed.on_gap()

    assert world.channels.listeners == {}
    assert world.published == []
    assert len(world.feeds) == 0


async def test_who_cannot_listen_is_told(world: World) -> None:
    world.channels.failure = UnavailableError("not now")

    with pytest.raises(UnavailableError):
        await world.feeds.open("t")
