"""A timeline and a delivery put together: the append is the commit, the delivery is tried again."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from streamsink.core import redelivery
from streamsink.core.composed import ComposedSink
from streamsink.core.cursor import Cursor
from streamsink.core.delivery import Delivery, ListsMembers
from streamsink.core.errors import UnavailableError
from streamsink.core.events import Terminal
from streamsink.core.identity import User
from streamsink.core.measures import Measures
from streamsink.core.timeline import Snapshot, Timeline
from streamsink.testing.checking import batch, begun, numbers, request
from streamsink.testing.clock import virtual_time
from tests.support.worlds import RecordingDelivery, World, steps, world

if TYPE_CHECKING:
    from streamsink.core.events import Event


def delivered(w: World, thread: str = "t") -> list[int]:
    return numbers(w.delivery.events.get(thread, ()))


async def settle(w: World) -> None:
    """Let everything that is tried again end."""
    await w.sink.tasks.aclose(grace_s=1_000)


@virtual_time
async def test_what_is_appended_is_delivered_at_its_place() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        await w.sink.send("t", batch("r1", 1, 2))

        assert w.delivery.events["t"] == list(await stored(w))


async def stored(w: World) -> tuple[Event, ...]:
    return (await w.sink.read("t", None, limit=1_000, max_bytes=10**9)).events


@virtual_time
async def test_appending_alone_delivers_nothing() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        await w.sink.append("t", batch("r1", 1))

        assert delivered(w) == []


@virtual_time
async def test_a_failed_delivery_is_tried_again_in_order() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        w.delivery.failures = 3
        await w.sink.send("t", batch("r1", 1))
        await w.sink.send("t", batch("r1", 2))
        await asyncio.sleep(0.15)
        await w.sink.send("t", batch("r1", 3, end=Terminal("completed")))
        await settle(w)

        assert [event.seq for event in w.delivery.events["t"]] == [1, 2, 3, 4]
        assert w.sink.undelivered == 0


@virtual_time
async def test_a_delivery_of_somebody_elses_may_fail_as_it_likes() -> None:
    """An error of no kind of ours is a failed delivery, the first time and later, and not its publisher's."""
    async with world() as w:
        await begun(w.sink, "t")
        w.delivery.failures, w.delivery.failure = 3, OSError("a socket")
        await w.sink.send("t", batch("r1", 1))
        await settle(w)

        assert (delivered(w), w.sink.undelivered) == ([1], 0)


@virtual_time
async def test_what_arrived_before_a_failure_is_not_given_again() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        w.delivery.failures, w.delivery.arrive_before_failing = 9, 1
        await w.sink.send("t", batch("r1", 1, 10))
        await settle(w)

        assert (delivered(w), w.sink.undelivered) == (list(range(1, 11)), 0)
        waits = [round(later - earlier, 1) for earlier, later in pairwise(w.delivery.tries[-10:])]
        assert waits == [0.1] * 9


@virtual_time
async def test_what_comes_while_something_is_tried_again_queues_behind_it() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        w.delivery.failures = 1
        await w.sink.send("t", batch("r1", 1))
        w.delivery.gate.clear()
        await asyncio.sleep(0.2)
        sending = asyncio.ensure_future(w.sink.send("t", batch("r1", 2)))
        await steps()
        w.delivery.failures = 1
        w.delivery.gate.set()
        await settle(w)
        await sending

        assert delivered(w) == [1, 2]


@virtual_time
async def test_two_deliveries_that_fail_at_once_are_one_queue() -> None:
    async with world() as w:
        reports: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        await begun(w.sink, "t", "r1")
        await begun(w.sink, "t", "r2")
        w.delivery.failures = 2
        await asyncio.gather(w.sink.send("t", batch("r1", 1)), w.sink.send("t", batch("r2", 1)))
        await settle(w)

        assert delivered(w) == [1, 1]
        assert reports == []


@virtual_time
async def test_it_is_given_up_and_counted_after_a_bounded_number_of_tries(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as w:
        await begun(w.sink, "t")
        start, w.delivery.failures = len(w.delivery.tries), 1_000
        await w.sink.send("t", batch("r1", 1, 2))
        await settle(w)

        assert (len(w.delivery.tries) - start, w.sink.undelivered) == (8, 2)
        assert "gave up delivering 2 events; clients will ask for them" in caplog.messages
        w.delivery.failures = 0
        await w.sink.send("t", batch("r1", 3))
        assert delivered(w) == [3]


@virtual_time
async def test_a_failure_after_a_success_waits_again() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        w.delivery.failures = 1
        await w.sink.send("t", batch("r1", 1))
        w.delivery.gate.clear()
        await asyncio.sleep(0.2)  # the second try is under way
        sending = asyncio.ensure_future(w.sink.send("t", batch("r1", 2)))
        await steps()
        w.delivery.gate.set()
        await steps(1)
        w.delivery.gate.clear()
        await steps()
        w.delivery.failures = 3
        start = len(w.delivery.tries)
        w.delivery.gate.set()
        await settle(w)

        await sending
        tries = w.delivery.tries[start - 1 :]
        assert delivered(w) == [1, 2]
        assert all(later - at >= 0.1 for at, later in pairwise(tries))


@virtual_time
async def test_what_waits_is_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redelivery, "_MAX_WAITING_EVENTS", 5)
    async with world() as w:
        await begun(w.sink, "t")
        w.delivery.failures = 2
        await w.sink.send("t", batch("r1", 1, 4))
        w.delivery.gate.clear()
        await asyncio.sleep(0.15)
        await w.sink.send("t", batch("r1", 5, 4))
        w.delivery.gate.set()
        await settle(w)

        assert delivered(w) == [4, 5, 6, 7, 8]
        assert w.sink.undelivered == 3


@virtual_time
async def test_a_sender_that_goes_away_while_it_delivers_loses_nothing() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        w.delivery.gate.clear()
        sending = asyncio.ensure_future(w.sink.send("t", batch("r1", 1)))
        await steps()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        w.delivery.gate.set()
        await settle(w)

        assert delivered(w) == [1]


@virtual_time
async def test_closing_counts_what_was_being_tried_again() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        w.delivery.failures = 1
        await w.sink.send("t", batch("r1", 1))
        w.delivery.gate.clear()
        await asyncio.sleep(0.2)
        await w.sink.aclose()
        await w.sink.aclose()

        assert w.sink.undelivered == 1
        assert w.delivery.closed == 2
        with pytest.raises(UnavailableError):
            await w.timeline.check()


@virtual_time
async def test_the_timeline_is_closed_even_if_the_delivery_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise UnavailableError("no")

    async with world() as w:
        with monkeypatch.context() as patch:
            patch.setattr(w.delivery, "aclose", fail)
            with pytest.raises(UnavailableError, match="no"):
                await w.sink.aclose()
        with pytest.raises(UnavailableError, match="closed"):
            await w.timeline.check()


@virtual_time
async def test_whatever_the_timeline_writes_is_delivered() -> None:
    """Messages, interruptions, cancels of queued runs, and what a sweep or a reader finds."""
    async with world() as w:
        await begun(w.sink, "t", "r1", redelivery_s=60)
        await w.sink.interrupt("t", "r1", 1)
        await w.sink.accept_run("t", request("r2", message=None))
        await w.sink.cancel("t", "r2")
        await begun(w.sink, "u", "r3")
        await asyncio.sleep(31)
        await w.sink.read("u", None, limit=10, max_bytes=10)
        await asyncio.sleep(31)
        await w.sink.sweep()

        targets = [event.target for event in w.delivery.events["t"]]
        assert targets == ["userMessage", "agentInterrupted", "agentDone", "agentDone"]
        assert [event.target for event in w.delivery.events["u"]] == ["userMessage", "agentDone"]


@virtual_time
async def test_the_rest_is_passed_on() -> None:
    async with world(lease_s=1.0) as w:
        number = await begun(w.sink, "t")

        assert await w.sink.wait_turn("t", "r1", timeout_s=1)
        assert not await w.sink.renew("t", "r1", number, lease_s=1)
        assert await w.sink.owner("t") is None
        await w.sink.register("t", "alice")
        assert await w.sink.owner("t") == "alice"
        await w.sink.join("t", "c1", user_id="alice")
        await w.sink.join("t", "c2", user_id="alice")
        await w.sink.leave("t", "c2", user_id="alice")
        assert w.delivery.groups["t"] == {"c1"}
        await w.sink.dissolve("t")
        assert "t" not in w.delivery.groups
        info = await w.sink.connect_info(User(subject="alice"), "https://host")
        assert info.url == "https://host/client"
        await w.sink.check()
        snapshot = Snapshot(Cursor(1, 1), (b"{}",))
        assert await w.sink.put_snapshot("t", snapshot, expected=None)
        assert await w.sink.get_snapshot("t") == snapshot
        run = await w.sink.get_run("t", "r1")
        assert run is not None
        assert run.state == "executing"


@virtual_time
async def test_a_deleted_thread_is_dissolved_and_nothing_of_it_arrives_later() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        await w.sink.join("t", "c1", user_id="alice")
        w.delivery.failures = 1
        await w.sink.send("t", batch("r1", 1))
        await w.sink.delete("t")
        await w.sink.delete("t")
        await settle(w)

        assert delivered(w) == []
        assert w.delivery.groups == {}


@virtual_time
async def test_it_is_ready_when_both_halves_are() -> None:
    async with world() as w:
        w.delivery.failures = 1
        with pytest.raises(UnavailableError, match="not now"):
            await w.sink.check()


@virtual_time
async def test_abilities_are_those_of_the_halves() -> None:
    async with world() as w:
        assert w.sink.ability(Delivery) is w.delivery
        assert w.sink.ability(Timeline) is w.timeline
        assert w.sink.ability(ListsMembers) is None


@virtual_time
async def test_what_came_late_and_what_waits_is_counted() -> None:
    async with world() as w:
        assert w.sink.ability(Measures) is w.sink
        w.sink.options.pacer.saved(7)
        await begun(w.sink, "t")
        w.delivery.failures = 1
        await w.sink.send("t", batch("r1", 1, 3))

        assert (w.sink.levels(), w.sink.measure()["redelivered"]) == ({"late": 3}, 0)
        await settle(w)
        assert (w.sink.levels(), w.sink.measure()) == ({"late": 0}, {"saved": 7, "redelivered": 3, "undelivered": 0})


class _Counting(RecordingDelivery, Measures):
    def measure(self) -> dict[str, int]:
        return {"messages": 2}


@virtual_time
async def test_what_its_halves_count_is_there_too() -> None:
    async with world() as w:
        sink = ComposedSink(w.timeline, _Counting())

        assert sink.measure() == {"saved": 0, "redelivered": 0, "undelivered": 0, "messages": 2}
        assert sink.levels() == {"late": 0}
