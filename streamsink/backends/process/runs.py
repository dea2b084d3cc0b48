"""The run records of one thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamsink.core.endings import PRODUCER_LOST, QUEUE_TIMEOUT
from streamsink.core.errors import BusyError, KeyReusedError, NotFoundError
from streamsink.core.events import Envelope, Terminal
from streamsink.core.runs import Appended, Batch, Run, RunRequest, RunState

if TYPE_CHECKING:
    from streamsink.core.events import Event

__all__ = ["LastBatch", "RunEntry", "RunTable"]

_KEEP_CLOSED: Final = 200


@dataclass(frozen=True, slots=True)
class LastBatch:
    """The newest batch of an attempt: enough to recognise its repetition."""

    attempt: int
    first_n: int
    count: int
    epoch: str
    first_seq: int

    def is_repeated_by(self, batch: Batch) -> bool:
        """Whether ``batch`` is this one again."""
        return (self.attempt, self.first_n, self.count) == (batch.attempt, batch.first_n, len(batch.records))

    def appended(self, cancel: bool, placed: tuple[Event, ...] = ()) -> Appended:
        """Where it stands; without its events, that it stood there already."""
        return Appended(
            epoch=self.epoch,
            first_seq=self.first_seq,
            count=self.count,
            cancel=cancel,
            repeated=not placed,
            placed=placed,
        )


@dataclass(slots=True)
class RunEntry:
    """One run.

    Args:
        deadline_ms: when a sweep ends the state that it is in.
        lease_s: how long its producer may be silent; 0: it has not begun, and nobody in particular will execute it.
        kept_until_ms: while it has not begun: when whoever accepted it is taken for dead, unless it waits.
        waiting: so many wait for its turn.
        call: the name of the call that accepted it, and then of the one that began its present attempt.
        said: how many events its present attempt has, for timelines that place events by attempt.
    """

    correlation_id: str
    agent_name: str
    queued: bool
    ordered: bool
    redelivery_s: float
    deadline_ms: float
    lease_s: float = 0.0
    kept_until_ms: float = 0.0
    waiting: int = 0
    state: RunState = "accepted"
    attempt: int = 0
    said: int = 0
    cancel: bool = False
    terminal: Terminal | None = None
    last: LastBatch | None = None
    key: str | None = None
    call: str = ""

    def view(self) -> Run:
        """The run as callers see it."""
        return Run(
            correlation_id=self.correlation_id,
            agent_name=self.agent_name,
            state=self.state,
            attempt=self.attempt,
            cancel=self.cancel,
            terminal=self.terminal,
        )

    def envelope(self, thread: str) -> Envelope:
        """For events that the timeline itself writes."""
        return Envelope(thread, self.correlation_id, self.agent_name)

    @property
    def next_n(self) -> int:
        """The record that the present attempt should append next."""
        if self.last is None or self.last.attempt != self.attempt:
            return 1
        return self.last.first_n + self.last.count

    def keep(self, now_ms: int) -> None:
        """Whoever accepted it lives."""
        self.kept_until_ms = now_ms + self.lease_s * 1000

    def ending(self, now_ms: int) -> Terminal | None:
        """How a sweep ends it now; None: its time is not over."""
        is_over = self.deadline_ms <= now_ms
        if self.state != "accepted":
            return PRODUCER_LOST if is_over else None
        if is_over:
            return QUEUE_TIMEOUT
        is_kept = not self.lease_s or self.waiting or self.kept_until_ms > now_ms
        return None if is_kept else PRODUCER_LOST

    def is_made(self, state: RunState, call: str) -> bool:
        """Whether it is in this state, and was brought there by this very call."""
        return self.state == state and call != "" and call == self.call

    def begin(self, attempt: int, lease_s: float, now_ms: int, call: str = "") -> None:
        """A further attempt, with this number."""
        self.state = "executing"
        self.call = call
        self.attempt = attempt
        self.said = 0
        self.lease(lease_s, now_ms)

    def lease(self, lease_s: float, now_ms: int) -> None:
        """The producer lives: it has so long again."""
        self.lease_s = lease_s
        self.deadline_ms = now_ms + lease_s * 1000

    def interrupt(self, now_ms: int) -> None:
        """The producer died; its host has so long to execute the run again."""
        self.state = "interrupted"
        self.deadline_ms = now_ms + self.redelivery_s * 1000

    def note(self, batch: Batch, epoch: str, first_seq: int, now_ms: int) -> LastBatch:
        """A batch was appended."""
        self.last = LastBatch(batch.attempt, batch.first_n, len(batch.records), epoch, first_seq)
        self.lease(self.lease_s, now_ms)
        return self.last


class RunTable:
    """The runs of one thread, in the order they were accepted.

    Args:
        keep_closed: so many are kept, so that a request or an operation that comes again finds its answer.
    """

    def __init__(self, *, keep_closed: int = _KEEP_CLOSED) -> None:
        self._keep_closed = keep_closed
        self._open: dict[str, RunEntry] = {}
        self._closed: dict[str, RunEntry] = {}
        self._keys: dict[str, tuple[str, str]] = {}

    def get(self, correlation_id: str) -> RunEntry:
        """The run; NotFoundError when there is none."""
        entry = self.find(correlation_id)
        if entry is None:
            raise NotFoundError("there is no such run in this thread")
        return entry

    def find(self, correlation_id: str) -> RunEntry | None:
        """The run, or None."""
        return self._open.get(correlation_id) or self._closed.get(correlation_id)

    def open(self) -> list[RunEntry]:
        """The runs without a terminal."""
        return list(self._open.values())

    def accept(self, request: RunRequest, now_ms: int) -> tuple[RunEntry, bool]:
        """The run that ``request`` names, and whether it is new."""
        known = self._known(request)
        if known is not None:
            return known, False
        self._check_queue(request)
        entry = RunEntry(
            correlation_id=request.correlation_id,
            agent_name=request.agent_name,
            queued=request.queue_limit is not None,
            ordered=request.ordered,
            redelivery_s=request.redelivery_s,
            deadline_ms=now_ms + request.queue_timeout_s * 1000,
            lease_s=request.lease_s,
            key=request.idempotency_key,
            call=request.call,
        )
        entry.keep(now_ms)
        self._open[entry.correlation_id] = entry
        if entry.key is not None:
            self._keys[entry.key] = (entry.correlation_id, request.fingerprint)
        return entry, True

    def _known(self, request: RunRequest) -> RunEntry | None:
        if request.idempotency_key is None or request.idempotency_key not in self._keys:
            return self.find(request.correlation_id)
        correlation_id, fingerprint = self._keys[request.idempotency_key]
        if fingerprint != request.fingerprint:
            raise KeyReusedError("this Idempotency-Key was used for another request; use a fresh one")
        return self.find(correlation_id)

    def _check_queue(self, request: RunRequest) -> None:
        if request.queue_limit is None:
            return
        waiting = sum(entry.queued and entry.agent_name == request.agent_name for entry in self._open.values())
        if waiting >= request.queue_limit:
            raise BusyError(f"{waiting} runs of this agent are open on this thread; wait for one to end")

    def is_turn(self, entry: RunEntry) -> bool:
        """Whether no earlier run makes this one wait."""
        if not entry.queued or not entry.ordered:
            return True
        rivals = (other for other in self._open.values() if other.queued and other.agent_name == entry.agent_name)
        return next(rivals, entry) is entry

    def check_turn(self, entry: RunEntry) -> None:
        """Raise BusyError when an earlier run makes this one wait."""
        if not self.is_turn(entry):
            raise BusyError("an earlier run of this agent is open on this thread")

    def close(self, entry: RunEntry, terminal: Terminal) -> list[RunEntry]:
        """The run is over; the oldest closed runs are forgotten, with their keys. Gives those."""
        entry.terminal, entry.state = terminal, "done"
        return self.set_aside(entry)

    def set_aside(self, entry: RunEntry) -> list[RunEntry]:
        """The run is not open, or not open here; as ``close``."""
        forgotten: list[RunEntry] = []
        self._open.pop(entry.correlation_id, None)
        self._closed[entry.correlation_id] = entry
        while len(self._closed) > self._keep_closed:
            oldest = self._closed.pop(next(iter(self._closed)))
            forgotten.append(oldest)
            if oldest.key is not None:
                del self._keys[oldest.key]
        return forgotten

    def take_back(self, entry: RunEntry) -> bool:
        """The run is open here again, if it was set aside without its end: True."""
        if entry.terminal is not None or entry.correlation_id in self._open:
            return False
        self._open[entry.correlation_id] = self._closed.pop(entry.correlation_id)
        return True
