"""What cannot be reached is asked again, for a bounded time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from streamsink.core.errors import NotFoundError, UnavailableError
from streamsink.core.patience import persist
from streamsink.testing.clock import virtual_time
from tests.support.worlds import world

if TYPE_CHECKING:
    from collections.abc import Iterator


class Store:
    """Answers after so many seconds; with errors at first."""

    def __init__(self, *outcomes: tuple[float, Exception | str]) -> None:
        self._outcomes: Iterator[tuple[float, Exception | str]] = iter(outcomes)

    async def __call__(self) -> str:
        seconds, outcome = next(self._outcomes)
        await asyncio.sleep(seconds)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


AWAY = UnavailableError("not now")


@virtual_time
async def test_what_is_back_soon_answers() -> None:
    async with world() as w:
        assert await persist(w.sink, Store((5, AWAY), (0, AWAY), (0, "yes"))) == "yes"


@virtual_time
async def test_what_stays_away_is_given_up() -> None:
    async with world() as w:
        w.sink.options = replace(w.sink.options, give_up_s=10)
        with pytest.raises(UnavailableError):
            await persist(w.sink, Store(*[(0, AWAY)] * 100))

        assert 8 <= asyncio.get_running_loop().time() <= 10


@virtual_time
async def test_what_answered_meanwhile_has_not_been_away() -> None:
    """Who waits for something in the store may wait for long before the store goes away."""
    async with world() as w:
        w.sink.options = replace(w.sink.options, give_up_s=10)

        assert await persist(w.sink, Store((60, AWAY), (60, AWAY), (0, AWAY), (0, "yes"))) == "yes"


@virtual_time
async def test_what_is_refused_is_not_asked_again() -> None:
    async with world() as w:
        with pytest.raises(NotFoundError):
            await persist(w.sink, Store((0, NotFoundError("none")), (0, "yes")))
