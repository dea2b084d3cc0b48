"""One clock hand for all connections."""

from __future__ import annotations

import asyncio

import pytest

from streamsink.backends.gateway.ticker import Ticker

from .support import settle


async def test_it_ticks_between_start_and_stop() -> None:
    times: list[float] = []
    turns: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(seconds: float) -> None:
        times.append(seconds)
        await turns.get()

    ticks: list[int] = []
    ticker = Ticker(lambda: ticks.append(1), interval_s=0.5, sleep=sleep)
    before = asyncio.all_tasks()
    ticker.start()
    ticker.start()
    for _ in range(3):
        turns.put_nowait(None)
    await settle()
    assert len(ticks) == 3
    assert set(times) == {0.5}

    await ticker.stop()
    await ticker.stop()

    assert asyncio.all_tasks() == before


async def test_it_can_start_again() -> None:
    ticker = Ticker(lambda: None)
    ticker.start()
    await ticker.stop()
    ticker.start()
    await ticker.stop()


async def test_a_failing_tick_is_raised_at_the_end() -> None:
    def fail() -> None:
        raise ValueError("bug")

    ticker = Ticker(fail, sleep=lambda _: asyncio.sleep(0))
    ticker.start()
    await settle()

    with pytest.raises(ValueError, match="bug"):
        await ticker.stop()
