"""A thread as server-sent events, resumable by ``Last-Event-ID``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamsink.core.cursor import Cursor
from streamsink.core.errors import StreamOverflowError, StreamSinkError
from streamsink.core.replay import Replay, read_replay

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from streamsink.core.delivery import Subscribes
    from streamsink.core.events import Event
    from streamsink.core.timeline import Timeline

__all__ = ["follow"]

# Proxies close what is silent for long; a reader may also be who notices that a producer has died.
_SILENCE_S: Final = 15.0


async def follow(timeline: Timeline, source: Subscribes, thread: str, after: str) -> AsyncGenerator[bytes, None]:
    """Everything after ``after``, then everything as it happens, each event once and in order.

    The subscription says that something has happened; the timeline says what. The stream ends when its reader
    cannot keep up, or the thread is deleted: the reader comes back with the last id.
    """
    async with source.subscribe(thread) as events:
        place = _Place(after)
        try:
            async for part in _missed(timeline, thread, place):
                yield part
            while True:
                event = await _next(events)
                if event is not None and place.precedes(event):
                    place.cursor = event.cursor
                    yield _frame(event)
                    continue
                if event is None:
                    yield b": \n\n"
                async for part in _missed(timeline, thread, place):
                    yield part
        except StreamOverflowError:
            return
        except StreamSinkError as error:
            if error.status != 410:
                raise


async def _next(events: AsyncIterator[Event]) -> Event | None:
    """The next event, or None after a long silence."""
    try:
        async with asyncio.timeout(_SILENCE_S):
            return await anext(events)
    except TimeoutError:
        return None


@dataclass(slots=True)
class _Place:
    """Up to where the reader has been told."""

    cursor: str

    def precedes(self, event: Event) -> bool:
        """Whether ``event`` is the next one."""
        place = Cursor.parse(self.cursor) if "~" not in self.cursor else None
        return place is not None and event.epoch == str(place.epoch) and event.seq == place.seq + 1


async def _missed(timeline: Timeline, thread: str, place: _Place) -> AsyncGenerator[bytes, None]:
    more = True
    while more:
        replay = await read_replay(timeline, thread, place.cursor)
        is_first, place.cursor, more = place.cursor == "", replay.cursor, replay.more
        if replay.snapshot is not None or (replay.reset and not is_first):
            yield _reset(replay)
        for event in replay.events:
            yield _frame(event)


def _reset(replay: Replay) -> bytes:
    """An event of its own: forget everything, and begin with this state."""
    cursor = replay.cursor
    if replay.events:  # they follow one by one: whoever loses the connection here has not seen them
        first = replay.events[0]
        cursor = f"{first.epoch}:{first.seq - 1}"
    told = Replay(cursor, reset=True, snapshot=replay.snapshot, more=replay.more)
    return b"event: replay\ndata: %b\nid: %b\n\n" % (bytes(told.to_json()), cursor.encode())


def _frame(event: Event) -> bytes:
    return b"event: %b\ndata: %b\nid: %b\n\n" % (event.target.encode(), event.json(), event.cursor.encode())
