from __future__ import annotations

import asyncio

import pytest

from streamsink.core.runtime import Runtime, TaskOwner, run_unless
from streamsink.testing.clock import virtual_time
from tests.support.worlds import steps


async def forever() -> None:
    await asyncio.Event().wait()


async def for_s(seconds: float, ended: list[float]) -> None:
    await asyncio.sleep(seconds)
    ended.append(seconds)


def test_the_real_runtime_gives_time_ids_and_jitter() -> None:
    runtime = Runtime()

    assert runtime.now_ms() > 1_700_000_000_000
    assert len({runtime.new_id() for _ in range(100)}) == 100
    assert all(1 <= runtime.jittered(2) <= 2 for _ in range(100))


@pytest.mark.parametrize(("drawn", "seconds"), [(0.0, 5.0), (0.5, 7.5), (1.0, 10.0)])
def test_jitter_is_between_half_and_all(drawn: float, seconds: float) -> None:
    assert Runtime(random=lambda: drawn).jittered(10) == seconds


@virtual_time
async def test_an_owner_ends_its_tasks() -> None:
    owner = TaskOwner()
    tasks = [owner.start(forever(), name=f"task {i}") for i in range(3)]

    await owner.aclose()
    await owner.aclose()

    assert [task.cancelled() for task in tasks] == [True, True, True]
    assert tasks[0].get_name() == "task 0"


@virtual_time
async def test_tasks_have_the_grace_that_they_are_given() -> None:
    owner, ended = TaskOwner(), list[float]()
    for seconds in (1, 2, 3):
        owner.start(for_s(seconds, ended), name="task")

    await owner.aclose(grace_s=2.5)

    assert ended == [1, 2]


@virtual_time
async def test_closing_waits_no_longer_than_it_must() -> None:
    owner, ended = TaskOwner(), list[float]()
    owner.start(for_s(1, ended), name="task")

    await owner.aclose(grace_s=100)

    assert (ended, asyncio.get_running_loop().time()) == ([1], 1)


@virtual_time
async def test_a_task_about_to_end_is_let_end() -> None:
    owner, ended = TaskOwner(), list[float]()
    last, too_slow = owner.start(for_s(1, ended), name="last"), owner.start(for_s(9, ended), name="slow")
    owner.ending(last)
    owner.ending(too_slow)
    other = owner.start(for_s(0.5, ended), name="other")

    await owner.aclose(ending_s=2)

    assert ended == [1]
    assert (other.cancelled(), too_slow.cancelled()) == (True, True)


@virtual_time
async def test_tasks_that_are_started_while_closing_end_too() -> None:
    owner = TaskOwner()

    async def start_another() -> None:
        try:
            await forever()
        finally:
            owner.start(forever(), name="late")

    owner.start(start_another(), name="early")
    await steps(1)

    await owner.aclose()  # virtual_time fails the test for a task that is left


@virtual_time
async def test_work_that_ends_first_has_run() -> None:
    ended = list[float]()

    assert await run_unless(asyncio.Event(), for_s(1, ended))
    assert ended == [1]


@virtual_time
async def test_work_that_is_stopped_is_cancelled_and_waited_for() -> None:
    stop, tidied = asyncio.Event(), list[float]()

    async def work() -> None:
        try:
            await forever()
        finally:
            await for_s(1, tidied)

    asyncio.get_running_loop().call_later(5, stop.set)

    assert not await run_unless(stop, work())
    assert tidied == [1]


@virtual_time
async def test_stopped_before_it_started_it_never_starts() -> None:
    stop, started = asyncio.Event(), list[int]()
    stop.set()

    async def work() -> None:
        started.append(1)

    assert not await run_unless(stop, work())
    assert started == []


@virtual_time
async def test_what_the_work_raises_goes_on() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run_unless(asyncio.Event(), work())


@virtual_time
async def test_what_the_work_raises_when_stopped_goes_on() -> None:
    stop = asyncio.Event()

    async def work() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            raise ZeroDivisionError from None

    asyncio.get_running_loop().call_later(1, stop.set)

    with pytest.raises(ZeroDivisionError):
        await run_unless(stop, work())


@virtual_time
async def test_work_that_is_cancelled_by_somebody_else_was_not_completed() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run_unless(asyncio.Event(), work())


@virtual_time
async def test_cancelling_the_caller_cancels_the_work() -> None:
    """What the work then raises is hidden by the cancellation, but no warning of asyncio's."""
    reports = list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))

    async def work() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            raise ZeroDivisionError from None

    caller = asyncio.ensure_future(run_unless(asyncio.Event(), work()))
    await steps(3)
    caller.cancel()

    with pytest.raises(asyncio.CancelledError):
        await caller
    del caller
    assert reports == []
