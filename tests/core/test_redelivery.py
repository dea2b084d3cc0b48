"""When what was not delivered is tried again, and how long a producer waits for that."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from streamsink.core.redelivery import Redelivery
from streamsink.core.runtime import TaskOwner
from streamsink.testing.checking import batch, numbers
from streamsink.testing.clock import virtual_runtime, virtual_time
from tests.support.worlds import RecordingDelivery, steps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from streamsink.core.events import Event


class Out:
    """A delivery that misbehaves, behind what tries it again."""

    def __init__(self, patience_s: float) -> None:
        self.tasks = TaskOwner()
        self.delivery = RecordingDelivery()
        self.redelivery = Redelivery(self.delivery, tasks=self.tasks, runtime=virtual_runtime(), patience_s=patience_s)

    async def say(self, first: int, count: int = 1) -> float:
        """Deliver so many events; returns when that was over."""
        await self.redelivery.deliver("t", events(first, count))
        return now()

    @property
    def numbers(self) -> list[int]:
        return numbers(self.delivery.events.get("t", ()))

    @property
    def waits(self) -> list[float]:
        """Between two tries."""
        return [round(later - earlier, 3) for earlier, later in pairwise(self.delivery.tries)]

    async def settle(self) -> None:
        await self.tasks.aclose(grace_s=10_000)


def events(first: int, count: int = 1) -> Sequence[Event]:
    return [record.at("1", first + i) for i, record in enumerate(batch("r1", first, count).records)]


def now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def out(*, patience_s: float = 10.0) -> AsyncIterator[Out]:
    made = Out(patience_s)
    try:
        yield made
    finally:
        await made.tasks.aclose()


@virtual_time
async def test_the_waits_double_up_to_a_bound() -> None:
    async with out() as o:
        o.delivery.failures = 1_000
        await o.say(1)
        await o.settle()

        assert o.waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
        assert o.redelivery.undelivered == 1


@virtual_time
async def test_who_asks_to_be_left_alone_is_for_that_long() -> None:
    """RFC 9110 §10.2.3, as far as the delivery says it; the tries are not used up meanwhile."""
    async with out() as o:
        o.delivery.failures, o.delivery.retry_after_s = 2, 30.0
        await o.say(1)
        await o.settle()

        assert (o.numbers, o.waits) == ([1], [30.1, 30.2])


@virtual_time
async def test_also_when_it_took_some_before() -> None:
    async with out() as o:
        o.delivery.failures, o.delivery.arrive_before_failing, o.delivery.retry_after_s = 2, 1, 3.0
        await o.say(1, 3)
        await o.settle()

        assert (o.numbers, o.waits) == ([1, 2, 3], [3.1, 3.1])


@virtual_time
async def test_but_for_no_longer_than_a_minute_and_no_shorter_than_otherwise() -> None:
    async with out() as o:
        o.delivery.failures, o.delivery.retry_after_s = 1, 86_400.0
        await o.say(1)
        await o.settle()
        o.delivery.failures, o.delivery.retry_after_s = 1, 0.0
        await o.say(2)
        await o.settle()

        assert o.waits[0] == 60.1
        assert o.waits[2] == 0.1


@virtual_time
async def test_a_hold_is_over_with_the_next_success() -> None:
    async with out() as o:
        o.delivery.failures, o.delivery.retry_after_s = 1, 5.0
        await o.say(1)
        later = asyncio.ensure_future(o.say(2))
        await asyncio.sleep(4.9)
        assert not later.done()
        assert await later == 5.1
        await o.settle()

        assert o.numbers == [1, 2]


@virtual_time
async def test_a_producer_behind_others_waits_for_the_first_try_of_its_own() -> None:
    """Not for their delivery: what fails again is no longer its business."""
    async with out() as o:
        o.delivery.failures = 3
        assert await o.say(1) == 0.0
        assert await o.say(2) == pytest.approx(0.1)
        assert await o.say(3) == pytest.approx(0.3)
        await o.settle()

        assert o.numbers == [1, 2, 3]


@virtual_time
async def test_but_not_for_ever() -> None:
    async with out(patience_s=2.0) as o:
        o.delivery.failures, o.delivery.retry_after_s = 1, 30.0
        await o.say(1)

        assert await o.say(2) == 2.0
        assert await o.say(3) == 4.0
        await o.settle()
        assert (o.numbers, now()) == ([1, 2, 3], 30.1)


@virtual_time
async def test_what_is_given_up_or_forgotten_holds_nobody() -> None:
    async with out(patience_s=100.0) as o:
        o.delivery.failures = 8
        await o.say(1)
        o.redelivery.forget("t")
        o.redelivery.forget("u")
        assert await o.say(2) == pytest.approx(0.1)
        await o.settle()
        assert o.redelivery.undelivered == 1
        o.delivery.failures = 0
        start = now()

        assert await o.say(3) == start
        assert o.numbers == [3]


@virtual_time
async def test_a_producer_that_goes_away_while_it_waits_takes_nothing_along() -> None:
    async with out() as o:
        o.delivery.failures = 1
        await o.say(1)
        waiting = asyncio.ensure_future(o.say(2))
        await steps()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await o.settle()

        assert o.numbers == [1, 2]


@virtual_time
async def test_who_flushes_waits_for_what_is_late_for_so_long() -> None:
    async with out() as o:
        assert await o.redelivery.flush("t", timeout_s=1)
        o.delivery.failures, o.delivery.retry_after_s = 1, 3.0
        await o.say(1)

        assert not await o.redelivery.flush("t", timeout_s=1)
        assert (await o.redelivery.flush("t", timeout_s=10), o.numbers) == (True, [1])
