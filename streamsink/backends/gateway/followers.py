"""Following a group inside the process: a bounded queue of events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable

from streamsink.core.errors import StreamOverflowError
from streamsink.core.events import Event

__all__ = ["Follower"]


class Follower(AsyncIterator[Event]):
    """Iterates over what is put in, for one reader. Cancelling the reader loses nothing.

    Args:
        max_events: that may wait. Past that what waits is still given out, and then the iterator raises.
    """

    def __init__(self, max_events: int) -> None:
        self._max_events = max_events
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._has_ended = False
        self._has_overflowed = False

    def put(self, events: Iterable[Event]) -> None:
        """Queue events; after an overflow or the end they are dropped."""
        for event in events:
            if self._has_ended:
                return
            if len(self._events) >= self._max_events:
                self._has_overflowed = True
                self.end()
                return
            self._events.append(event)
        self._wake.set()

    def end(self) -> None:
        """Nothing more will come; the iterator stops after what is waiting."""
        self._has_ended = True
        self._wake.set()

    async def __anext__(self) -> Event:
        while not self._events:
            if self._has_overflowed:
                raise StreamOverflowError("the reader of these events could not keep up")
            if self._has_ended:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()
