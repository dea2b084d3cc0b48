"""One thread's runs as a pure state machine: calls take the time and return what happened.

This is the reference of what the timeline contract (``streamsink.core.timeline``) says about runs; errors are
documented there. Where an event's place is, and whether it is kept, is for the timeline to say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from streamsink.core.endings import CANCELLED, message_of
from streamsink.core.errors import InvalidRequestError, RunClosedError, StaleAttemptError
from streamsink.core.events import AGENT_INTERRUPTED, Event, Record, Terminal
from streamsink.core.runs import Accepted, Appended, Attempt, Batch, Cancelled, Interrupted, RunRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.backends.process.runs import LastBatch, RunEntry, RunTable

__all__ = ["ThreadRuns"]


class ThreadRuns(ABC):
    """The runs of one thread.

    Attributes:
        size: bytes of what is kept, the responses of runs that are over included.
    """

    def __init__(self, thread: str, runs: RunTable) -> None:
        self._thread = thread
        self.runs: RunTable = runs
        self.size: int = 0
        self.counted: int = 0  # … of which the timeline knows
        self.touched_ms: int = 0

    @abstractmethod
    def _write(self, entry: RunEntry, records: Sequence[Record], now_ms: int) -> tuple[Event, ...]:
        """The next events of a run's present attempt, at their places."""

    def _grow(self, size: int) -> None:
        self.size += size

    def _next_attempt(self, entry: RunEntry, now_ms: int) -> int:
        return entry.attempt + 1

    def _cost(self, entry: RunEntry) -> int:
        """Bytes of what is kept of a run that is over."""
        response = entry.terminal.response if entry.terminal is not None else None
        return len(response or b"")

    def _close(self, entry: RunEntry, terminal: Terminal) -> None:
        """End a run; the oldest ones that are over are forgotten for it."""
        forgotten = self.runs.close(entry, terminal)
        self._grow(self._cost(entry) - sum(map(self._cost, forgotten)))

    def accept_run(self, request: RunRequest, now_ms: int) -> Accepted:
        """``Timeline.accept_run``."""
        entry, fresh = self.runs.accept(request, now_ms)
        records = (request.message,) if fresh and request.message is not None else ()
        fresh = fresh or entry.is_made("accepted", request.call)
        return Accepted(entry.view(), fresh, self._write(entry, records, now_ms))

    def begin_attempt(self, correlation_id: str, lease_s: float, now_ms: int, call: str = "") -> Attempt:
        """``Timeline.begin_attempt``."""
        entry = self.runs.get(correlation_id)
        if entry.terminal is not None:
            return Attempt(number=entry.attempt, cancel=entry.cancel, terminal=entry.terminal)
        if not entry.is_made("executing", call):
            self.runs.check_turn(entry)
            entry.begin(self._next_attempt(entry, now_ms), lease_s, now_ms, call)
        return Attempt(number=entry.attempt, cancel=entry.cancel)

    def append(self, batch: Batch, now_ms: int) -> Appended:
        """``Timeline.append``."""
        entry = self.runs.get(batch.correlation_id)
        if entry.last is not None and entry.last.is_repeated_by(batch):
            return self._again(entry, entry.last)
        self._check_order(entry, batch)
        events = self._write(entry, batch.records, now_ms)
        last = entry.note(batch, events[0].epoch, events[0].seq, now_ms)
        if batch.terminal is not None:
            self._close(entry, batch.terminal)
        return last.appended(entry.cancel, events)

    def _again(self, entry: RunEntry, last: LastBatch) -> Appended:
        return last.appended(entry.cancel)

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
        record = entry.envelope(self._thread).record(AGENT_INTERRUPTED, attempt=attempt, at_ms=now_ms)
        return Interrupted(self._write(entry, [record], now_ms))

    def sweep(self, now_ms: int) -> tuple[Event, ...]:
        """``Timeline.sweep`` for this thread."""
        events: list[Event] = []
        for entry in self.runs.open():
            ending = entry.ending(now_ms)
            if ending is None:
                continue
            if entry.state == "executing" and entry.redelivery_s > 0:
                events.extend(self.interrupt(entry.correlation_id, entry.attempt, now_ms).events)
            else:
                events.extend(self._end(entry, ending, now_ms))
        return tuple(events)

    def _end(self, entry: RunEntry, terminal: Terminal, now_ms: int) -> tuple[Event, ...]:
        envelope = entry.envelope(self._thread)
        record = envelope.done(terminal, attempt=entry.attempt, at_ms=now_ms, message=message_of(terminal))
        self._close(entry, terminal)
        return self._write(entry, [record], now_ms)
