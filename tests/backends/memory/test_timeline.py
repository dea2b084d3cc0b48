"""Many threads: what they hold is bounded, what is deleted stays deleted, who waits is woken."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamsink.backends.memory.settings import MemorySettings
from streamsink.backends.memory.timeline import MemoryTimeline
from streamsink.backends.process import timeline as module
from streamsink.core.cursor import Cursor
from streamsink.core.errors import (
    BusyError,
    ConflictError,
    NotFoundError,
    StreamSinkError,
    ThreadDeletedError,
    UnavailableError,
)
from streamsink.core.events import Terminal
from streamsink.core.timeline import Page, Snapshot
from streamsink.testing.checking import batch, request
from streamsink.testing.clock import virtual_runtime, virtual_time
from tests.support.worlds import steps

DONE = Terminal("completed")
MANY = 10**9


def timeline(**limits: Any) -> MemoryTimeline:
    return MemoryTimeline(limits=MemorySettings(**limits), runtime=virtual_runtime())


async def begun(kept: MemoryTimeline, thread: str, name: str = "r1", **more: Any) -> int:
    await kept.accept_run(thread, request(name, **more))
    return (await kept.begin_attempt(thread, name, lease_s=30)).number


async def ended(kept: MemoryTimeline, thread: str, count: int = 1) -> None:
    """A thread with so many records and no open run."""
    await begun(kept, thread)
    await kept.append(thread, batch("r1", 1, count, end=DONE))


async def count(kept: MemoryTimeline, thread: str) -> int:
    return len((await kept.read(thread, None, limit=MANY, max_bytes=MANY)).events)


@virtual_time
async def test_looking_makes_nothing() -> None:
    kept = timeline()

    assert await kept.read("t", None, limit=1, max_bytes=1) == Page((), None)
    assert await kept.get_run("t", "r1") is None
    assert await kept.get_snapshot("t") is None
    with pytest.raises(NotFoundError):
        await kept.renew("t", "r1", 1, lease_s=1)
    with pytest.raises(NotFoundError):
        await kept.cancel("t", "r1")
    assert (await kept.cancel("t")).correlation_ids == ()
    with pytest.raises(NotFoundError):
        await kept.wait_turn("t", "r1", timeout_s=1)
    assert kept._logs == {}
    assert kept._waiting == {}


@virtual_time
async def test_a_thread_nobody_touches_is_forgotten_unless_a_run_is_open() -> None:
    kept = timeline(ttl_s=60)
    await begun(kept, "open", redelivery_s=10**6)
    await ended(kept, "old")
    await asyncio.sleep(40)
    await ended(kept, "new")
    await asyncio.sleep(30)

    await kept.sweep("new")
    assert await count(kept, "old") == 2
    await kept.sweep()

    assert [await count(kept, thread) > 0 for thread in ("open", "old", "new")] == [True, False, True]
    await asyncio.sleep(100)
    await kept.sweep()
    assert [await count(kept, thread) > 0 for thread in ("open", "new")] == [True, False]


@virtual_time
async def test_past_the_bound_the_least_recently_touched_threads_are_forgotten() -> None:
    kept = timeline(max_bytes=2_000)
    await begun(kept, "open")
    for thread in ("a", "b", "c"):
        await ended(kept, thread, 3)
    await kept.put_snapshot("a", Snapshot(Cursor(1, 1), (b"touched",)), expected=None)
    for thread in ("d", "e"):
        await ended(kept, thread, 3)

    held = {thread for thread in ("open", "a", "b", "c", "d", "e") if await count(kept, thread)}
    assert {"open", "e"} < held
    assert "b" not in held
    assert kept._size <= 2_000
    assert kept._size == sum(log.size for log in kept._logs.values())


@virtual_time
async def test_what_runs_answered_counts_for_the_bound() -> None:
    kept = timeline(max_bytes=10_000)
    for thread in ("a", "b", "c"):
        await begun(kept, thread)
        await kept.append(thread, batch("r1", 1, end=Terminal("completed", response=b"x" * 4_000)))

    assert [await kept.get_run(thread, "r1") is not None for thread in ("a", "b", "c")] == [False, True, True]
    assert 8_000 < kept._size <= 10_000


@virtual_time
async def test_a_thread_that_is_larger_than_the_bound_is_kept_while_it_is_written() -> None:
    kept = timeline(max_bytes=500)
    await ended(kept, "small")
    await begun(kept, "large")
    await kept.append("large", batch("r1", 1, 20))

    assert (await count(kept, "small"), await count(kept, "large")) == (0, 21)


@virtual_time
async def test_a_deleted_thread_stays_deleted() -> None:
    kept = timeline()
    number = await begun(kept, "t")
    await kept.register("t", "alice")
    await kept.delete("t")
    await kept.delete("t")

    for call in (
        kept.accept_run("t", request("r2")),
        kept.begin_attempt("t", "r1", lease_s=1),
        kept.append("t", batch("r1", 1)),
        kept.renew("t", "r1", number, lease_s=1),
        kept.cancel("t"),
        kept.interrupt("t", "r1", number),
        kept.get_snapshot("t"),
        kept.put_snapshot("t", Snapshot(Cursor(1, 1), (b"",)), expected=None),
        kept.register("t", "alice"),
        kept.wait_turn("t", "r1", timeout_s=1),
    ):
        with pytest.raises(ThreadDeletedError):
            await call
    assert await kept.sweep("t") == []
    assert await kept.get_run("t", "r1") is None
    assert await kept.owner("t") is None
    assert await kept.read("t", Cursor(1, 1), limit=1, max_bytes=1) == Page((), None, gone=True)
    assert kept._size == 0


@virtual_time
async def test_tombstones_and_owners_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_TOMBSTONES", 2)
    monkeypatch.setattr(module, "_MAX_OWNERS", 2)
    kept = timeline()
    for thread in ("a", "b", "c"):
        await kept.register(thread, "alice")

    assert [await kept.owner(thread) for thread in ("a", "b", "c")] == [None, "alice", "alice"]
    with pytest.raises(ConflictError):
        await kept.register("c", "bob")
    for thread in ("a", "b", "c"):
        await kept.delete(thread)
    await kept.accept_run("a", request())
    with pytest.raises(ThreadDeletedError):
        await kept.accept_run("b", request())


@virtual_time
async def test_runs_of_one_agent_execute_in_order() -> None:
    kept = timeline()
    order: list[str] = []

    async def execute(name: str) -> None:
        assert await kept.wait_turn("t", name, timeout_s=600)
        await kept.begin_attempt("t", name, lease_s=30)
        order.append(name)
        await asyncio.sleep(1)
        await kept.append("t", batch(name, 1, end=DONE))

    names = [f"r{i}" for i in range(5)]
    for name in names:
        await kept.accept_run("t", request(name, queue_limit=5))
    with pytest.raises(BusyError):
        await kept.begin_attempt("t", "r1", lease_s=30)
    await asyncio.gather(*(execute(name) for name in reversed(names)))

    assert order == names


@pytest.mark.parametrize("ending", ["terminal", "cancel", "sweep"])
def test_a_turn_comes_when_the_run_before_ends(ending: str) -> None:
    @virtual_time
    async def scenario() -> None:
        kept = timeline()
        await begun(kept, "t", "r1", queue_limit=2)
        await kept.accept_run("t", request("r2", queue_limit=2))
        waiting = asyncio.ensure_future(kept.wait_turn("t", "r2", timeout_s=100))
        await steps()
        assert not waiting.done()
        if ending == "terminal":
            await kept.append("t", batch("r1", 1, end=DONE))
        elif ending == "cancel":
            await kept.cancel("t", "r2")
        else:
            await asyncio.sleep(31)
            await kept.sweep("t")
        await steps()

        assert waiting.done()
        assert waiting.result()
        assert kept._waiting == {}

    scenario()


@virtual_time
async def test_a_turn_that_does_not_come_in_time_is_not_waited_for() -> None:
    kept = timeline()
    await begun(kept, "t", "r1", queue_limit=2)
    await kept.accept_run("t", request("r2", queue_limit=2))

    assert not await kept.wait_turn("t", "r2", timeout_s=5)
    assert asyncio.get_running_loop().time() == 5
    assert kept._waiting == {}


@pytest.mark.parametrize(("ending", "error"), [("delete", ThreadDeletedError), ("aclose", UnavailableError)])
def test_who_waits_for_what_goes_away_is_told(ending: str, error: type[StreamSinkError]) -> None:
    @virtual_time
    async def scenario() -> None:
        kept = timeline()
        await begun(kept, "t", "r1", queue_limit=3)
        for name in ("r2", "r3"):
            await kept.accept_run("t", request(name, queue_limit=3))
        waiting = [asyncio.ensure_future(kept.wait_turn("t", name, timeout_s=9)) for name in ("r2", "r3")]
        await steps()
        await (kept.delete("t") if ending == "delete" else kept.aclose())

        for each in waiting:
            with pytest.raises(error):
                await each

    scenario()


@virtual_time
async def test_a_wait_that_is_cancelled_leaves_nothing() -> None:
    kept = timeline()
    await begun(kept, "t", "r1", queue_limit=2)
    await kept.accept_run("t", request("r2", queue_limit=2))
    waiting = asyncio.ensure_future(kept.wait_turn("t", "r2", timeout_s=5))
    await steps()
    waiting.cancel()
    await asyncio.wait({waiting})

    assert kept._waiting == {}


@virtual_time
async def test_a_sweep_of_all_threads_says_what_it_wrote_where() -> None:
    kept = timeline()
    for thread in ("t", "u"):
        await begun(kept, thread)
    await ended(kept, "v")
    await asyncio.sleep(31)

    swept = await kept.sweep()

    assert {each.thread: [event.target for event in each.events] for each in swept} == {
        "t": ["agentDone"], "u": ["agentDone"],
    }  # fmt: skip
    assert await kept.sweep() == []


@virtual_time
async def test_what_is_closed_says_so() -> None:
    kept = timeline()
    await ended(kept, "t")
    await kept.check()
    await kept.aclose()
    await kept.aclose()

    for call in (
        kept.check(),
        kept.get_run("t", "r1"),
        kept.read("t", None, limit=1, max_bytes=1),
        kept.accept_run("t", request()),
    ):
        with pytest.raises(UnavailableError):
            await call


def test_by_itself_it_takes_the_defaults() -> None:
    assert MemoryTimeline()._limits == MemorySettings()
