"""A thread as server-sent events, resumable by ``Last-Event-ID``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamsink.core.cursor import Cursor
from streamsink.core.errors import StreamSinkError
from streamsink.core.replay import Replay, read_replay

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from streamsink.core.delivery import Subscribes
    from streamsink.core.events import Event
    from streamsink.core.timeline import Timeline

__all__ = ["follow"]

# Proxies close what is silent for long; a reader may also be who notices that a producer has died.
_SILENCE_S: Final = 15.0
_COMMENT: Final = b": \n\n"
_NO_REPLAY: Final = b"event: replay\ndata: null\n\n"


async def follow(timeline: Timeline, source: Subscribes, thread: str, after: str) -> AsyncGenerator[bytes, None]:
    """Everything after ``after``, then everything as it happens, each event once and in order.

    The subscription says that something has happened; the timeline says what. The stream ends when its reader
    cannot keep up, the thread is deleted, the host stops or the store is gone: the reader comes back with the last
    id, and is told then what is wrong.
    """
    place = _Place(after)
    async with source.subscribe(thread) as events:
        try:
            while True:
                more = True
                while more:
                    replay = await read_replay(timeline, thread, place.cursor)
                    more = replay.more
                    for part in place.tell_all(replay):
                        yield part
                while (event := await _next(events)) is not None and place.reaches(event):
                    if place.tell(event):
                        yield _frame(event)
                if event is None:
                    yield _COMMENT
        except (StopAsyncIteration, StreamSinkError):
            return


async def follow_from_now(timeline: Timeline, source: Subscribes, thread: str) -> AsyncGenerator[bytes, None]:
    """Everything as it happens, where no history is kept: the first part says that nothing else can be had.

    The stream ends as that of ``follow`` does.
    """
    async with source.subscribe(thread) as events:
        try:
            yield _NO_REPLAY
            while True:
                event = await _next(events)
                if event is None:
                    await read_replay(timeline, thread, "")  # who reads notices a producer that has died
                yield _COMMENT if event is None else _frame(event)
        except (StopAsyncIteration, StreamSinkError):
            return


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

    def reaches(self, event: Event) -> bool:
        """Whether nothing is missing between here and ``event``."""
        here = Cursor.parse(self.cursor)
        return here is not None and event.epoch == str(here.epoch) and event.seq <= here.seq + 1

    def tell(self, event: Event) -> bool:
        """Move on to an event that is within reach; False when it has been told before."""
        here = Cursor.parse(self.cursor)
        if here is not None and event.seq <= here.seq:
            return False
        self.cursor = event.cursor
        return True

    def tell_all(self, replay: Replay) -> Iterator[bytes]:
        """The parts that say what was missed."""
        is_first, self.cursor = self.cursor == "", replay.cursor
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
    return b"event: %b\ndata: %b\nid: %b\n\n" % (event.target.encode(), event.json, event.cursor.encode())
