"""The end of a task that has an owner."""

from __future__ import annotations

import asyncio

import pytest

from streamsink.backends.gateway.tasks import stop

from .support import settle


async def test_a_running_task_is_cancelled() -> None:
    task = asyncio.create_task(asyncio.Event().wait())
    await settle()

    await stop(task)

    assert task.cancelled()


async def test_what_a_task_died_of_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("bug")

    task = asyncio.create_task(fail())
    await settle()

    with pytest.raises(ValueError, match="bug"):
        await stop(task)


async def test_a_task_that_is_done_is_left_alone() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    await settle()

    await stop(task)

    assert not task.cancelled()


async def test_a_cancellation_of_the_owner_keeps_its_message() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)

    task = asyncio.create_task(stubborn())
    await settle()
    owner = asyncio.create_task(stop(task))
    await asyncio.sleep(0)
    owner.cancel("whose it is")

    with pytest.raises(asyncio.CancelledError, match="whose it is"):
        await owner
    await settle()
    assert task.done()
