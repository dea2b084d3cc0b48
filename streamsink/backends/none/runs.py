"""One thread's runs where nothing that is said is kept (docs/history.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamsink.backends.process.runs import RunEntry, RunTable
from streamsink.backends.process.thread_runs import ThreadRuns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.core.events import Event, Record
    from streamsink.core.runs import Attempt

__all__ = ["UnkeptRuns"]

# What a run that is over costs besides its response: its ids, its key, its terminal.
_RUN_BYTES: Final = 1_000
_KEEP_CLOSED: Final = 20


class UnkeptRuns(ThreadRuns):
    """Runs whose events get their places and are forgotten; how a run ended stays for a while.

    An epoch is ``<correlation id>.<attempt>``; there a record's place is its own number, what the timeline itself
    says comes next. An attempt is its start in ms, so that one begun elsewhere, or after a restart, replaces it.
    """

    def __init__(self, thread: str) -> None:
        super().__init__(thread, RunTable(keep_closed=_KEEP_CLOSED))

    def _next_attempt(self, entry: RunEntry, now_ms: int) -> int:
        return max(now_ms, entry.attempt + 1)

    def _write(self, entry: RunEntry, records: Sequence[Record], now_ms: int) -> tuple[Event, ...]:
        epoch = f"{entry.correlation_id}.{entry.attempt}"
        events = tuple(record.at(epoch, entry.said + i) for i, record in enumerate(records, start=1))
        entry.said += len(events)
        return events

    def begin_attempt(self, correlation_id: str, lease_s: float, now_ms: int, call: str = "") -> Attempt:
        """``Timeline.begin_attempt``; of a run that was handed over, and has come here all the same."""
        entry = self.runs.get(correlation_id)
        if self.runs.take_back(entry):
            self._grow(-self._cost(entry))
        return super().begin_attempt(correlation_id, lease_s, now_ms, call)

    def hand_over(self, correlation_id: str) -> None:
        """``HandsOver.hand_over``."""
        entry = self.runs.find(correlation_id)
        if entry is not None and entry.state == "accepted":
            forgotten = self.runs.set_aside(entry)
            self._grow(self._cost(entry) - sum(map(self._cost, forgotten)))

    def _cost(self, entry: RunEntry) -> int:
        return _RUN_BYTES + super()._cost(entry)
