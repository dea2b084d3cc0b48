"""What is known without a history, for how long, and what is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamsink.backends.none.timeline import NoTimeline
from streamsink.core.composed import ComposedSink
from streamsink.core.cursor import Cursor
from streamsink.core.errors import ThreadDeletedError, UnavailableError
from streamsink.core.events import Terminal
from streamsink.core.replay import Replay, read_replay, write_snapshot
from streamsink.core.timeline import Page, Snapshot
from streamsink.testing.checking import batch, request
from streamsink.testing.clock import virtual_runtime, virtual_time
from tests.support.worlds import RecordingDelivery

DONE = Terminal("completed", response=b'{"text":"x","response":{}}')
SNAPSHOT = Snapshot(Cursor(1, 1), (b"{}",))


def timeline(**more: Any) -> NoTimeline:
    return NoTimeline(runtime=virtual_runtime(), **more)


async def ended(kept: NoTimeline, thread: str, name: str = "r1", *, end: Terminal = DONE) -> None:
    await kept.accept_run(thread, request(name))
    number = (await kept.begin_attempt(thread, name, lease_s=30)).number
    await kept.append(thread, batch(name, 1, attempt=number, end=end))


@virtual_time
async def test_nothing_can_be_read() -> None:
    kept = timeline()
    await ended(kept, "t")

    assert not kept.keeps_history
    assert await kept.read("t", None, limit=9, max_bytes=999) == Page((), None)
    assert await kept.read("t", Cursor(1, 1), limit=9, max_bytes=999) == Page((), None, gone=True)
    assert await kept.get_snapshot("t") is None
    assert not await kept.put_snapshot("t", SNAPSHOT, expected=None)
    assert not await write_snapshot(kept, "t")
    assert await read_replay(kept, "t", "1:1") == Replay("", reset=True)


@virtual_time
async def test_a_publisher_says_everything_in_its_attempt() -> None:
    delivery = RecordingDelivery()
    runtime = virtual_runtime()
    async with ComposedSink(NoTimeline(runtime=runtime), delivery, runtime=runtime) as sink:
        async with sink.run("t", message="Hi") as run:
            run.text("one")
            await asyncio.sleep(1)
            run.text(" two")
        attempt = run.attempt

    assert not sink.keeps_history
    assert attempt > 1
    assert [(event.target, event.epoch, event.seq) for event in delivery.events["t"]] == [
        ("userMessage", f"{run.correlation_id}.0", 1),
        ("agentStarted", f"{run.correlation_id}.{attempt}", 1),
        ("agentMessage", f"{run.correlation_id}.{attempt}", 2),
        ("agentMessage", f"{run.correlation_id}.{attempt}", 3),
        ("agentDone", f"{run.correlation_id}.{attempt}", 4),
    ]


@virtual_time
async def test_how_a_run_ended_is_known_for_a_while_and_then_it_is_executed_again() -> None:
    kept = timeline(ended_s=60)
    await ended(kept, "t")
    first = await kept.begin_attempt("t", "r1", lease_s=30)
    await kept.sweep()
    assert (first.terminal, (await kept.accept_run("t", request("r1"))).fresh) == (DONE, False)

    await asyncio.sleep(61)
    await kept.sweep()
    accepted = await kept.accept_run("t", request("r1"))
    again = await kept.begin_attempt("t", "r1", lease_s=30)

    assert (accepted.fresh, again.terminal) == (True, None)
    assert again.number > first.number


@virtual_time
async def test_responses_are_bounded_and_open_runs_stay() -> None:
    kept = timeline(ended_bytes=5_000)
    await kept.accept_run("open", request("r1"))
    for thread in ("a", "b", "c"):
        await ended(kept, thread, end=Terminal("completed", response=b"x" * 1_500))

    known = [thread for thread in ("open", "a", "b", "c") if await kept.get_run(thread, "r1")]
    assert known == ["open", "b", "c"]


@virtual_time
async def test_a_deleted_thread_stays_deleted() -> None:
    kept = timeline()
    await ended(kept, "t")
    await kept.delete("t")

    for call in (
        kept.accept_run("t", request("r2")),
        kept.get_snapshot("t"),
        kept.put_snapshot("t", SNAPSHOT, expected=None),
        read_replay(kept, "t", ""),
    ):
        with pytest.raises(ThreadDeletedError):
            await call
    assert await kept.read("t", None, limit=9, max_bytes=999) == Page((), None)
    assert await kept.get_run("t", "r1") is None


@virtual_time
async def test_what_is_closed_says_so() -> None:
    kept = timeline()
    await kept.aclose()

    with pytest.raises(UnavailableError):
        await kept.read("t", None, limit=9, max_bytes=999)


@virtual_time
async def test_runs_are_handed_over_to_other_processes() -> None:
    kept = timeline()
    await kept.accept_run("t", request("r1", queue_limit=1))
    for thread in ("t", "unknown"):
        await kept.hand_over(thread, "r1")

    assert (await kept.accept_run("t", request("r2", queue_limit=1))).fresh
    run = await kept.get_run("t", "r1")
    assert run is not None
    assert (run.state, run.terminal) == ("accepted", None)
    assert await kept.get_run("unknown", "r1") is None
