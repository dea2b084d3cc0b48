"""What one turn of the event loop brings to a group leaves at its end, together."""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SLICE", "Turn"]

G = TypeVar("G")

# Connections written to before the loop may do something else: about 4 ms.
SLICE: Final = 500


class Turn(Generic[G]):
    """The groups that something waits for until the loop turn is over, in the order in which they were added.

    Args:
        write: sends what waits for a group, or a part of it; returns to how many connections.
        defer: calls a function in the next loop turn; None: the running loop's.
    """

    def __init__(
        self, write: Callable[[G], int], *, defer: Callable[[Callable[[], None]], object] | None = None
    ) -> None:
        self._write = write
        self._defer = defer
        self._due: deque[G] = deque()
        self._is_called = False

    def add(self, group: G) -> None:
        """Something waits for this group now; once is enough."""
        self._due.append(group)
        if not self._is_called:
            self._call_soon()

    def add_first(self, group: G) -> None:
        """Something goes on with this group before all others."""
        self._due.appendleft(group)
        if not self._is_called:
            self._call_soon()

    def flush(self) -> None:
        """Send all that waits now."""
        self._write_some(inf)

    def _end(self) -> None:
        self._is_called = False
        try:
            self._write_some(SLICE)
        finally:  # whatever is wrong with one group, the others are served
            if self._due and not self._is_called:
                self._call_soon()

    def _write_some(self, connections: float) -> None:
        due, write, written = self._due, self._write, 0
        while due and written < connections:
            written += write(due.popleft())

    def _call_soon(self) -> None:
        self._is_called = True
        (self._defer or asyncio.get_running_loop().call_soon)(self._end)
