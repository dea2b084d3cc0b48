"""One thread's timeline as a pure state machine: its runs, and the events and the snapshot that are kept.

This is the reference of the timeline contract (``streamsink.core.timeline``); errors are documented there.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

from streamsink.backends.process.runs import LastBatch, RunEntry, RunTable
from streamsink.backends.process.thread_runs import ThreadRuns
from streamsink.core.cursor import Cursor
from streamsink.core.errors import EpochChangedError
from streamsink.core.timeline import Page, Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.core.events import Event, Record
    from streamsink.core.runs import Appended, Batch

__all__ = ["ThreadLog"]


class ThreadLog(ThreadRuns):
    """Events, runs and snapshot of one thread.

    Args:
        thread: its id.
        keep_events: events before the snapshot are trimmed when more than so many are held.
    """

    def __init__(self, thread: str, *, keep_events: int) -> None:
        super().__init__(thread, RunTable())
        self._keep_events = keep_events
        self._places: list[Cursor] = []
        self._events: list[Event] = []
        self._head: Cursor | None = None
        self._trimmed: Cursor | None = None
        self.snapshot: Snapshot | None = None

    def append(self, batch: Batch, now_ms: int) -> Appended:
        """``Timeline.append``."""
        self._check_epoch(batch, now_ms)
        return super().append(batch, now_ms)

    def _again(self, entry: RunEntry, last: LastBatch) -> Appended:
        if self._head is not None and str(self._head.epoch) != last.epoch:
            raise EpochChangedError(self._head.epoch)
        return super()._again(entry, last)

    def _check_epoch(self, batch: Batch, now_ms: int) -> None:
        if batch.seen is None:
            return
        if self._head is None or self._head < batch.seen:
            self._head = Cursor(self._new_epoch(max(now_ms, batch.seen.epoch + 1)), 0)
        if batch.seen.epoch != self._head.epoch:
            raise EpochChangedError(self._head.epoch)

    def read(self, after: Cursor | None, *, limit: int, max_bytes: int) -> Page:
        """``Timeline.read``."""
        gone = after is not None and not self._has(after)
        start = 0 if after is None or gone else bisect.bisect_right(self._places, after)
        end, size = start, 0
        while end < len(self._events) and end - start < limit:
            size += len(self._events[end].json)
            if size > max_bytes and end > start:
                break
            end += 1
        return Page(tuple(self._events[start:end]), self._head, gone, end < len(self._events))

    def _has(self, place: Cursor) -> bool:
        if place in (self._head, self._trimmed):
            return True
        i = bisect.bisect_left(self._places, place)
        return i < len(self._places) and self._places[i] == place

    def put_snapshot(self, snapshot: Snapshot, expected: Cursor | None) -> bool:
        """``Timeline.put_snapshot``."""
        if (self.snapshot.cursor if self.snapshot else None) != expected:
            return False
        self._grow(sum(map(len, snapshot.parts)) - sum(map(len, self.snapshot.parts if self.snapshot else ())))
        self.snapshot = snapshot
        self._trim()
        return True

    def _trim(self) -> None:
        surplus = len(self._events) - self._keep_events
        if self.snapshot is None or surplus <= 0:
            return
        count = min(surplus, bisect.bisect_right(self._places, self.snapshot.cursor))
        if count:
            self._trimmed = self._places[count - 1]
            self._grow(-sum(len(event.json) for event in self._events[:count]))
            del self._events[:count], self._places[:count]

    def forget_after(self, place: Cursor) -> None:
        """Lose what came after ``place``, as a store does that fails over to a replica which lagged behind."""
        keep = bisect.bisect_right(self._places, place)
        self._grow(-sum(len(event.json) for event in self._events[keep:]))
        del self._events[keep:], self._places[keep:]
        self._head = place
        if self.snapshot is not None and self.snapshot.cursor > place:
            self._grow(-sum(map(len, self.snapshot.parts)))
            self.snapshot = None

    def _new_epoch(self, now_ms: int) -> int:
        return now_ms if self._head is None else max(now_ms, self._head.epoch + 1)

    def _write(self, entry: RunEntry, records: Sequence[Record], now_ms: int) -> tuple[Event, ...]:
        head = self._head or Cursor(self._new_epoch(now_ms), 0)
        events: list[Event] = []
        for i, record in enumerate(records, start=1):
            event = record.at(str(head.epoch), head.seq + i)
            events.append(event)
            self._places.append(Cursor(head.epoch, head.seq + i))
            self._grow(len(event.json))
        if events:
            self._head = self._places[-1]
            self._events.extend(events)
            self._trim()
        return tuple(events)
