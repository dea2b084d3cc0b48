from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from streamsink.testing import clock
from streamsink.testing.clock import VirtualTimeLoop, virtual_runtime, virtual_time, without_leaks

if TYPE_CHECKING:
    from collections.abc import Iterator


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
def loop() -> Iterator[VirtualTimeLoop]:
    made = VirtualTimeLoop()
    yield made
    made.close()


def test_an_hour_passes_at_once() -> None:
    @virtual_time
    async def an_hour() -> float:
        await asyncio.sleep(3_600)
        return now()

    started = time.monotonic()

    assert an_hour() == 3_600
    assert time.monotonic() - started < 5


@virtual_time
async def test_things_happen_in_the_order_of_their_times() -> None:
    order: list[int] = []

    async def at(seconds: int) -> None:
        await asyncio.sleep(seconds)
        order.append(seconds)

    await asyncio.gather(*(at(seconds) for seconds in (3, 1, 2)))

    assert (order, now()) == ([1, 2, 3], 3)


@virtual_time
async def test_timeouts_run_out() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await asyncio.Event().wait()

    assert now() == 60


@virtual_time
async def test_threads_are_waited_for() -> None:
    assert await asyncio.to_thread(lambda: 5) == 5
    assert now() == 0


def test_time_can_be_let_pass(loop: VirtualTimeLoop) -> None:
    loop.advance(5)
    loop.advance(2.5)

    assert loop.time() == 7.5


def test_waiting_for_ever_is_a_failure(loop: VirtualTimeLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_DEADLOCK_S", 0.01)
    for_ever = loop.create_task(asyncio.Event().wait())

    with pytest.raises(RuntimeError, match="deadlock"):
        loop.run_until_complete(for_ever)
    for_ever.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(for_ever)


def test_a_task_that_is_left_behind_is_a_failure() -> None:
    @virtual_time
    async def leave() -> None:
        left.append(asyncio.create_task(asyncio.Event().wait(), name="forgotten"))

    left: list[asyncio.Task[bool]] = []
    with pytest.raises(AssertionError, match="forgotten"):
        leave()


@virtual_time
async def test_a_task_that_is_about_to_end_is_not_left_behind() -> None:
    async def work() -> int:
        asyncio.create_task(asyncio.sleep(0)).cancel()
        return 5

    assert await without_leaks(work()) == 5


@virtual_time
async def test_a_virtual_runtime_is_on_the_loops_time() -> None:
    runtime = virtual_runtime()
    start = runtime.now_ms()
    await asyncio.sleep(1.5)

    assert runtime.now_ms() - start == 1_500
    assert [runtime.new_id() for _ in range(2)] == ["id-1", "id-2"]
    assert runtime.jittered(4) == 4
