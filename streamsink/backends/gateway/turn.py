"""What one turn of the event loop brings to a group leaves as one frame, made once for all its members."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamsink.core.events import Event

__all__ = ["Turn"]

# Connections written to before the loop may do something else: about 4 ms.
_SLICE: Final = 500


class Turn:
    """Collects events until the loop turn is over. Bounded by what one turn can bring.

    Args:
        publish: sends a group's events, in order; returns to how many connections.
        defer: calls a function in the next loop turn; None: the running loop's.
    """

    def __init__(
        self,
        publish: Callable[[str, Sequence[Event]], int],
        *,
        defer: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._publish = publish
        self._defer = defer
        self._waiting: dict[str, Sequence[Event]] = {}

    def put(self, group: str, events: Sequence[Event]) -> None:
        """Publish events, after those of this group that wait."""
        waiting = self._waiting
        if not waiting:
            self._call_soon(self._end)
        waiting[group] = [*waiting[group], *events] if group in waiting else events

    def flush(self) -> None:
        """Publish all that waits now."""
        while self._waiting:
            self._publish_first()

    def flush_group(self, group: str) -> None:
        """Publish what waits for one group now."""
        events = self._waiting.pop(group, None)
        if events:
            self._publish(group, events)

    def _end(self) -> None:
        written = 0
        while self._waiting and written < _SLICE:
            written += self._publish_first()
        if self._waiting:
            self._call_soon(self._end)

    def _publish_first(self) -> int:
        group = next(iter(self._waiting))
        return self._publish(group, self._waiting.pop(group))

    def _call_soon(self, call: Callable[[], None]) -> None:
        if self._defer is None:
            asyncio.get_running_loop().call_soon(call)
        else:
            self._defer(call)
