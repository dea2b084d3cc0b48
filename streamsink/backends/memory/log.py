"""One thread's timeline as a pure state machine: calls take the time and return what happened.

This is the reference of the timeline contract (``streamsink.core.timeline``); errors are documented there.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

from streamsink.backends.memory.runs import LastBatch, RunEntry, RunTable
from streamsink.core.cursor import Cursor
from streamsink.core.endings import CANCELLED, PRODUCER_LOST, QUEUE_TIMEOUT, message_of
from streamsink.core.errors import EpochChangedError, InvalidRequestError, RunClosedError, StaleAttemptError
from streamsink.core.events import AGENT_INTERRUPTED, Event, Record, Terminal
from streamsink.core.runs import Accepted, Appended, Attempt, Batch, Cancelled, Interrupted, RunRequest
from streamsink.core.timeline import Page, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ThreadLog"]

_ENDINGS = {"accepted": QUEUE_TIMEOUT, "executing": PRODUCER_LOST, "interrupted": PRODUCER_LOST}


class ThreadLog:
    """Events, runs and snapshot of one thread.

    Args:
        thread: its id.
        keep_events: events before the snapshot are trimmed when more than so many are held.
    """

    def __init__(self, thread: str, *, keep_events: int) -> None:
        self._thread = thread
        self._keep_events = keep_events
        self._places: list[Cursor] = []
        self._events: list[Event] = []
        self._head: Cursor | None = None
        self._trimmed: Cursor | None = None
        self.runs: RunTable = RunTable()
        self.snapshot: Snapshot | None = None
        self.size: int = 0  # bytes of events and snapshot
        self.counted = 0  # … of which the timeline knows
        self.touched_ms = 0

    def accept_run(self, request: RunRequest, now_ms: int) -> Accepted:
        """``Timeline.accept_run``."""
        entry, fresh = self.runs.accept(request, now_ms)
        records = (request.message,) if fresh and request.message is not None else ()
        return Accepted(entry.view(), fresh, self._append(records, now_ms))

    def begin_attempt(self, correlation_id: str, lease_s: float, now_ms: int) -> Attempt:
        """``Timeline.begin_attempt``."""
        entry = self.runs.get(correlation_id)
        if entry.terminal is not None:
            return Attempt(number=entry.attempt, cancel=entry.cancel, terminal=entry.terminal)
        self.runs.check_turn(entry)
        entry.begin(lease_s, now_ms)
        return Attempt(number=entry.attempt, cancel=entry.cancel)

    def append(self, batch: Batch, now_ms: int) -> Appended:
        """``Timeline.append``."""
        self._check_epoch(batch, now_ms)
        entry = self.runs.get(batch.correlation_id)
        if entry.last is not None and entry.last.is_repeated_by(batch):
            return self._again(entry, entry.last)
        self._check_order(entry, batch)
        events = self._append(batch.records, now_ms)
        last = entry.note(batch, events[0].epoch, events[0].seq, now_ms)
        if batch.terminal is not None:
            self.runs.close(entry, batch.terminal)
        return last.appended(entry.cancel, repeated=False)

    def _again(self, entry: RunEntry, last: LastBatch) -> Appended:
        if self._head is not None and str(self._head.epoch) != last.epoch:
            raise EpochChangedError(self._head.epoch)
        return last.appended(entry.cancel, repeated=True)

    def _check_epoch(self, batch: Batch, now_ms: int) -> None:
        if batch.seen is None:
            return
        if self._head is None or self._head < batch.seen:
            self._head = Cursor(self._new_epoch(max(now_ms, batch.seen.epoch + 1)), 0)
        if batch.seen.epoch != self._head.epoch:
            raise EpochChangedError(self._head.epoch)

    def _check_order(self, entry: RunEntry, batch: Batch) -> None:
        if entry.terminal is not None:
            raise RunClosedError("the run has its terminal")
        if batch.attempt != entry.attempt or entry.state != "executing":
            raise StaleAttemptError("a newer attempt of this run has begun, or this one has been interrupted")
        if batch.first_n != entry.next_n:
            raise InvalidRequestError(f"the batch should begin with record {entry.next_n} of its attempt")

    def renew(self, correlation_id: str, attempt: int, lease_s: float, now_ms: int) -> bool:
        """``Timeline.renew``."""
        entry = self.runs.get(correlation_id)
        if entry.terminal is not None:
            raise RunClosedError("the run has its terminal")
        if attempt != entry.attempt or entry.state != "executing":
            raise StaleAttemptError("a newer attempt of this run has begun, or this one has been interrupted")
        entry.lease(lease_s, now_ms)
        return entry.cancel

    def cancel(self, correlation_id: str | None, now_ms: int) -> Cancelled:
        """``Timeline.cancel``."""
        reached = self.runs.open() if correlation_id is None else [self.runs.get(correlation_id)]
        reached = [entry for entry in reached if entry.terminal is None]
        events: list[Event] = []
        for entry in reached:
            entry.cancel = True
            if entry.state == "accepted":
                events.extend(self._end(entry, CANCELLED, now_ms))
        return Cancelled(tuple(entry.correlation_id for entry in reached), tuple(events))

    def interrupt(self, correlation_id: str, attempt: int, now_ms: int) -> Interrupted:
        """``Timeline.interrupt``."""
        entry = self.runs.get(correlation_id)
        if entry.terminal is not None or entry.state != "executing" or entry.attempt != attempt:
            return Interrupted()
        entry.interrupt(now_ms)
        envelope = entry.envelope(self._thread)
        return Interrupted(self._append([envelope.record(AGENT_INTERRUPTED, attempt=attempt, at_ms=now_ms)], now_ms))

    def sweep(self, now_ms: int) -> tuple[Event, ...]:
        """``Timeline.sweep`` for this thread."""
        events: list[Event] = []
        for entry in self.runs.open():
            if entry.deadline_ms > now_ms:
                continue
            if entry.state == "executing" and entry.redelivery_s > 0:
                events.extend(self.interrupt(entry.correlation_id, entry.attempt, now_ms).events)
            else:
                events.extend(self._end(entry, _ENDINGS[entry.state], now_ms))
        return tuple(events)

    def _end(self, entry: RunEntry, terminal: Terminal, now_ms: int) -> tuple[Event, ...]:
        envelope = entry.envelope(self._thread)
        record = envelope.done(terminal, attempt=entry.attempt, at_ms=now_ms, message=message_of(terminal))
        self.runs.close(entry, terminal)
        return self._append([record], now_ms)

    def read(self, after: Cursor | None, *, limit: int, max_bytes: int) -> Page:
        """``Timeline.read``."""
        gone = after is not None and not self._has(after)
        start = 0 if after is None or gone else bisect.bisect_right(self._places, after)
        end, size = start, 0
        while end < len(self._events) and end - start < limit:
            size += len(self._events[end].body)
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
        self.size += sum(map(len, snapshot.parts)) - sum(map(len, self.snapshot.parts if self.snapshot else ()))
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
            self.size -= sum(len(event.body) for event in self._events[:count])
            del self._events[:count], self._places[:count]

    def forget_after(self, place: Cursor) -> None:
        """Lose what came after ``place``, as a store does that fails over to a replica which lagged behind."""
        keep = bisect.bisect_right(self._places, place)
        self.size -= sum(len(event.body) for event in self._events[keep:])
        del self._events[keep:], self._places[keep:]
        self._head = place
        if self.snapshot is not None and self.snapshot.cursor > place:
            self.size -= sum(map(len, self.snapshot.parts))
            self.snapshot = None

    def _new_epoch(self, now_ms: int) -> int:
        return now_ms if self._head is None else max(now_ms, self._head.epoch + 1)

    def _append(self, records: Iterable[Record], now_ms: int) -> tuple[Event, ...]:
        head = self._head or Cursor(self._new_epoch(now_ms), 0)
        events: list[Event] = []
        for i, record in enumerate(records, start=1):
            events.append(record.at(str(head.epoch), head.seq + i))
            self._places.append(Cursor(head.epoch, head.seq + i))
            self.size += len(record.body)
        if events:
            self._head = self._places[-1]
            self._events.extend(events)
            self._trim()
        return tuple(events)
