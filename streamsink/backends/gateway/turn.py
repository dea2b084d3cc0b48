"""What one turn of the event loop brings to a group leaves at its end, together."""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Turn"]

G = TypeVar("G")

# Connections written to before the loop may do something else: about 4 ms.
_SLICE: Final = 500


class Turn(Generic[G]):
    """The groups that something waits for until the loop turn is over, in the order in which they were added.

    Args:
        write: sends what waits for a group; returns to how many connections.
        defer: calls a function in the next loop turn; None: the running loop's.
    """

    def __init__(
        self, write: Callable[[G], int], *, defer: Callable[[Callable[[], None]], object] | None = None
    ) -> None:
        self._write = write
        self._defer = defer
        self._due: deque[G] = deque()

    def add(self, group: G) -> None:
        """Something waits for this group now; once is enough."""
        due = self._due
        due.append(group)
        if len(due) == 1:
            self._call_soon()

    def flush(self) -> None:
        """Send all that waits now."""
        self._write_some(inf)

    def _end(self) -> None:
        try:
            self._write_some(_SLICE)
        finally:  # whatever is wrong with one group, the others are served
            if self._due:
                self._call_soon()

    def _write_some(self, connections: float) -> None:
        due, write, written = self._due, self._write, 0
        while due and written < connections:
            written += write(due.popleft())

    def _call_soon(self) -> None:
        (self._defer or asyncio.get_running_loop().call_soon)(self._end)
