"""Following a group in the process."""

from __future__ import annotations

import asyncio

import pytest

from streamsink.backends.gateway.followers import Follower
from streamsink.core.errors import StreamOverflowError

from .support import make_event, settle


async def test_events_come_out_in_order() -> None:
    follower = Follower(10)
    follower.put([make_event(1), make_event(2)])
    follower.put([make_event(3)])
    follower.end()

    assert [event.seq async for event in follower] == [1, 2, 3]


async def test_a_reader_waits_for_what_comes() -> None:
    follower = Follower(10)
    reading = asyncio.create_task(anext(follower))
    await settle()

    follower.put([make_event(1)])

    assert (await reading).seq == 1


async def test_a_cancelled_reader_loses_nothing() -> None:
    follower = Follower(10)
    reading = asyncio.create_task(anext(follower))
    await settle()
    follower.put([make_event(1)])
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)

    assert (await anext(follower)).seq == 1


async def test_an_overflow_is_raised_after_what_was_waiting() -> None:
    follower = Follower(2)
    follower.put([make_event(seq) for seq in (1, 2, 3)])
    follower.put([make_event(4)])

    assert [(await anext(follower)).seq, (await anext(follower)).seq] == [1, 2]
    for _ in range(2):
        with pytest.raises(StreamOverflowError):
            await anext(follower)


async def test_after_the_end_nothing_is_taken() -> None:
    follower = Follower(2)
    follower.end()
    follower.put([make_event(1)])

    assert [event async for event in follower] == []
