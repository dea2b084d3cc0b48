"""Work on many things, some in a loop turn."""

from __future__ import annotations

import asyncio

from streamsink.backends.gateway.slices import Slices, do_in_turns


async def test_some_are_done_in_a_turn_in_order() -> None:
    done: list[int] = []
    slices = Slices(done.append, at_once=2)
    turns: list[int] = []

    for thing in range(5):
        slices.add(thing)
    for _ in range(3):
        await asyncio.sleep(0)
        turns.append(len(done))

    assert turns == [2, 4, 5]
    assert done == [0, 1, 2, 3, 4]
    assert not slices


async def test_what_is_added_meanwhile_has_its_turn() -> None:
    done: list[int] = []

    def do(thing: int) -> None:
        done.append(thing)
        if thing:
            slices.add(thing - 1)

    slices = Slices(do, at_once=10)
    slices.add(2)
    for _ in range(3):
        await asyncio.sleep(0)

    assert done == [2, 1, 0]


async def test_what_is_known_is_done_in_turns() -> None:
    done: list[int] = []

    doing = asyncio.create_task(do_in_turns(done.append, range(5), at_once=2))
    turns: list[int] = []
    for _ in range(3):
        await asyncio.sleep(0)
        turns.append(len(done))
    await doing

    assert turns == [2, 4, 5]
    assert done == [0, 1, 2, 3, 4]
