"""Work on many things at once, some in a loop turn."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Slices", "do_in_turns"]

_T = TypeVar("_T")


class Slices(Generic[_T]):
    """Does the same with everything that is added, in order, from the next loop turn on.

    Args:
        do: must not raise.
        at_once: before the loop may do something else.
    """

    def __init__(self, do: Callable[[_T], None], *, at_once: int) -> None:
        self._do = do
        self._at_once = at_once
        self._waiting: deque[_T] = deque()

    def __len__(self) -> int:
        """How much waits."""
        return len(self._waiting)

    def add(self, thing: _T) -> None:
        """It is done soon, after those before it."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._do_some)
        self._waiting.append(thing)

    def _do_some(self) -> None:
        for _ in range(min(len(self._waiting), self._at_once)):
            self._do(self._waiting.popleft())
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._do_some)


async def do_in_turns(do: Callable[[_T], object], things: Iterable[_T], *, at_once: int) -> None:
    """Do the same with everything, in order, ``at_once`` in a loop turn; returns when it is done."""
    for count, thing in enumerate(things, 1):
        do(thing)
        if count % at_once == 0:
            await asyncio.sleep(0)
