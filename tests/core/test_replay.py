"""What a reader has missed: snapshot and pages say the same as everything from the beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.memory.settings import MemorySettings
from streamsink.backends.memory.timeline import MemoryTimeline
from streamsink.core import replay
from streamsink.core.conversation import Conversation
from streamsink.core.cursor import Cursor
from streamsink.core.errors import InvalidRequestError, ThreadDeletedError
from streamsink.core.events import Event, Record
from streamsink.core.replay import Replay, read_replay, write_snapshot
from streamsink.testing.checking import batch, request
from streamsink.testing.clock import virtual_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streamsink.core.runs import Batch
    from streamsink.core.timeline import Snapshot


class Reader:
    """A client that keeps what it was told and asks for more."""

    def __init__(self, timeline: MemoryTimeline) -> None:
        self._timeline = timeline
        self._parts: list[bytes] = []
        self._events: list[Event] = []
        self.after = ""
        self.resets = 0

    async def ask(self) -> Replay:
        answer = await read_replay(self._timeline, "t", self.after)
        if answer.reset:
            self.resets += 1
            self._parts, self._events = [], []
        if answer.snapshot is not None:
            self._parts.append(answer.snapshot)
        self._events.extend(answer.events)
        self.after = answer.cursor
        return answer

    async def catch_up(self) -> dict[str, Any]:
        while (await self.ask()).more:
            pass
        return self.state

    @property
    def state(self) -> dict[str, Any]:
        conversation = Conversation.from_parts(self._parts)
        for event in self._events:
            conversation.apply(event.target, msgspec.json.decode(event.json))
        return conversation.state


class Story:
    """A thread with runs that say numbers."""

    def __init__(self, *, keep_events: int = 10_000) -> None:
        self.timeline = MemoryTimeline(limits=MemorySettings(events=keep_events))
        self.everything = Conversation()
        self._next_n: dict[str, int] = {}

    async def say(self, run: str, count: int) -> None:
        if run not in self._next_n:
            accepted = await self.timeline.accept_run("t", request(run))
            await self.timeline.begin_attempt("t", run, lease_s=30)
            self._note(accepted.events)
        n = self._next_n.get(run, 1)
        said: Batch = batch(run, n, count)
        self._note((await self.timeline.append("t", said)).events(said.records))
        self._next_n[run] = n + count

    def _note(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self.everything.apply(event.target, msgspec.json.decode(event.json))


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "PAGE_EVENTS", 3)
    monkeypatch.setattr(replay, "PAGE_BYTES", 700)


@pytest.mark.usefixtures("small_pages")
async def test_an_empty_thread_has_nothing_to_say() -> None:
    answer = await read_replay(MemoryTimeline(), "t", "")

    assert answer == Replay("", reset=True)
    assert not await write_snapshot(MemoryTimeline(), "t")


@pytest.mark.usefixtures("small_pages")
async def test_pages_follow_each_other_and_then_what_is_new() -> None:
    story = Story()
    await story.say("r1", 7)
    reader = Reader(story.timeline)

    assert await reader.catch_up() == story.everything.state
    await story.say("r1", 2)
    assert await reader.catch_up() == story.everything.state
    assert reader.resets == 1
    assert (await reader.ask()).events == ()
    assert reader.after == story.everything.cursor


steps = st.lists(st.tuples(st.sampled_from(["r1", "r2", "r3"]), st.integers(1, 9)) | st.just("snapshot"), max_size=12)


@given(steps, st.lists(st.booleans(), min_size=12, max_size=12), st.sampled_from([1, 5, 1_000]))
def test_a_snapshot_and_what_follows_is_everything(
    steps: list[tuple[str, int] | str], asks: list[bool], keep_events: int
) -> None:
    """Whatever is trimmed, and however a reader's questions fall between."""

    @virtual_time
    async def scenario() -> None:
        story = Story(keep_events=keep_events)
        reader = Reader(story.timeline)
        for step, ask in zip(steps, asks, strict=False):
            if isinstance(step, str):
                await write_snapshot(story.timeline, "t")
            else:
                await story.say(*step)
            if ask:
                await reader.ask()

        assert await reader.catch_up() == story.everything.state
        assert await Reader(story.timeline).catch_up() == story.everything.state

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay, "PAGE_EVENTS", 3)
        patch.setattr(replay, "PAGE_BYTES", 700)
        scenario()


@pytest.mark.usefixtures("small_pages")
async def test_a_large_snapshot_comes_in_parts() -> None:
    story = Story()
    for run in ("r1", "r2", "r3"):
        await story.say(run, 5)
    await write_snapshot(story.timeline, "t")
    await story.say("r3", 1)
    reader = Reader(story.timeline)

    first = await reader.ask()
    second = await reader.ask()

    assert (first.reset, first.more, first.events) == (True, True, ())
    assert first.cursor == f"{story.timeline.log('t').snapshot.cursor}~1"  # type: ignore[union-attr]
    assert (second.reset, second.more) == (False, True)
    assert await reader.catch_up() == story.everything.state
    assert reader.resets == 1


@pytest.mark.usefixtures("small_pages")
async def test_a_newer_snapshot_between_parts_starts_over() -> None:
    story = Story()
    for run in ("r1", "r2", "r3"):
        await story.say(run, 5)
    await write_snapshot(story.timeline, "t")
    reader = Reader(story.timeline)
    await reader.ask()
    await story.say("r1", 1)
    await write_snapshot(story.timeline, "t")

    assert await reader.catch_up() == story.everything.state
    assert reader.resets == 2


class BetweenReads(MemoryTimeline):
    """Something happens between a reader's two questions to the store."""

    def __init__(self, *, keep_events: int) -> None:
        super().__init__(limits=MemorySettings(events=keep_events))
        self.then: Callable[[], Awaitable[object]] | None = None

    async def get_snapshot(self, thread: str) -> Snapshot | None:
        snapshot = await super().get_snapshot(thread)
        if self.then is not None:
            then, self.then = self.then, None
            await then()
        return snapshot


async def test_a_snapshot_that_is_replaced_and_trimmed_to_while_it_is_read_loses_nothing() -> None:
    story = Story()
    story.timeline = timeline = BetweenReads(keep_events=1)
    await story.say("r1", 5)
    await write_snapshot(timeline, "t")

    async def go_on() -> None:
        await story.say("r1", 5)
        await write_snapshot(timeline, "t")

    timeline.then = go_on

    assert await Reader(timeline).catch_up() == story.everything.state


async def test_what_the_store_lost_of_a_snapshot_is_gone_and_the_reader_is_told() -> None:
    story = Story()
    await story.say("r1", 5)
    await write_snapshot(story.timeline, "t")
    log = story.timeline.log("t")
    snapshot = log.snapshot
    assert snapshot is not None
    log.forget_after(Cursor(snapshot.cursor.epoch, 2))
    log.snapshot = snapshot

    answer = await read_replay(story.timeline, "t", "")

    assert (answer.reset, answer.snapshot, len(answer.events)) == (True, None, 2)


@pytest.mark.parametrize("place", ["trimmed", "beyond the head", "older epoch", "newer epoch"])
async def test_a_place_that_is_gone_starts_over(place: str) -> None:
    story = Story(keep_events=2)
    await story.say("r1", 9)
    await write_snapshot(story.timeline, "t")
    head = Cursor.parse(story.everything.cursor)
    assert head is not None
    cursors = {
        "trimmed": Cursor(head.epoch, 2),
        "beyond the head": Cursor(head.epoch, 99),
        "older epoch": Cursor(head.epoch - 1, 3),
        "newer epoch": Cursor(head.epoch + 1, 1),
    }
    reader = Reader(story.timeline)
    reader.after = str(cursors[place])

    assert await reader.catch_up() == story.everything.state
    assert reader.resets == 1


async def test_a_place_in_a_surviving_older_epoch_is_a_place() -> None:
    story = Story()
    await story.say("r1", 3)
    log = story.timeline.log("t")
    head = Cursor.parse(story.everything.cursor)
    assert head is not None
    log._head = Cursor(head.epoch + 1, 0)
    await story.say("r2", 1)

    answer = await read_replay(story.timeline, "t", f"{head.epoch}:2")

    assert not answer.reset
    assert [event.cursor for event in answer.events] == [
        f"{head.epoch}:3", f"{head.epoch}:4", f"{head.epoch + 1}:1", f"{head.epoch + 1}:2",
    ]  # fmt: skip


@pytest.mark.parametrize("after", ["x", "1:2~", "1:2~x", "1:2~-1", "1:2~1234567"])
async def test_what_is_no_cursor_is_refused(after: str) -> None:
    with pytest.raises(InvalidRequestError, match="as it was given out"):
        await read_replay(MemoryTimeline(), "t", after)


@pytest.mark.parametrize("after", ["1:2~1", "{cursor}~9", "x~1"])
async def test_a_part_that_is_not_there_starts_over(after: str) -> None:
    story = Story()
    await story.say("r1", 3)
    await write_snapshot(story.timeline, "t")
    reader = Reader(story.timeline)
    reader.after = after.format(cursor=story.everything.cursor)

    assert await reader.catch_up() == story.everything.state
    assert reader.resets == 1


async def test_a_deleted_thread_says_so() -> None:
    story = Story()
    await story.say("r1", 3)
    await story.timeline.delete("t")

    for after in ("", story.everything.cursor):
        with pytest.raises(ThreadDeletedError):
            await read_replay(story.timeline, "t", after)


async def test_of_two_snapshots_at_once_one_is_stored() -> None:
    story = Story()
    story.timeline = timeline = BetweenReads(keep_events=10)
    await story.say("r1", 3)

    async def be_quicker() -> None:
        await write_snapshot(timeline, "t")

    timeline.then = be_quicker

    assert not await write_snapshot(timeline, "t")
    assert not await write_snapshot(timeline, "t")  # nothing has happened since


async def test_a_snapshot_of_what_was_lost_is_made_anew() -> None:
    story = Story()
    await story.say("r1", 5)
    await write_snapshot(story.timeline, "t")
    log = story.timeline.log("t")
    snapshot = log.snapshot
    assert snapshot is not None
    log.forget_after(Cursor(snapshot.cursor.epoch, 3))
    log.snapshot = snapshot

    assert await write_snapshot(story.timeline, "t")

    state = await Reader(story.timeline).catch_up()
    assert [len(run["items"]) for run in state["runs"]] == [2]


def test_an_answer_as_json() -> None:
    event = Record("agentCustom", b'{"a":1}').at("17", 2)
    full = Replay("17:2", reset=True, snapshot=b'{"version":1}', events=(event, event), more=True)

    empty = msgspec.json.decode(msgspec.json.encode(Replay("").to_json()))
    decoded = msgspec.json.decode(msgspec.json.encode(full.to_json()))

    assert empty == {"cursor": "", "reset": False, "snapshot": None, "events": [], "more": False}
    said = {"target": "agentCustom", "data": {"a": 1, "seq": 2, "epoch": "17"}}
    assert decoded == {
        "cursor": "17:2", "reset": True, "snapshot": {"version": 1}, "events": [said, said], "more": True,
    }  # fmt: skip
