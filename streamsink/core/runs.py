"""Runs, as producers, hosts and timelines speak of them: asked for, accepted, attempted, appended to, ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from streamsink.core.cursor import Cursor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.core.events import Event, Record, Terminal

__all__ = [
    "Accepted",
    "Appended",
    "Attempt",
    "Batch",
    "Cancelled",
    "Interrupted",
    "Run",
    "RunRequest",
    "RunState",
]

RunState: TypeAlias = Literal["accepted", "executing", "interrupted", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What makes a run.

    Args:
        correlation_id: names the run within its thread.
        agent_name: whose turn it takes.
        message: its ``userMessage`` record (attempt 0), if it has one.
        idempotency_key: the caller's name for this request; a second request with it is the same run.
        fingerprint: tells the same request from another one under the same key.
        queue_limit: how many runs of one agent may be open on a thread, this one included, before
            ``BusyError``; such runs execute one at a time, in order. None: this run neither waits nor makes wait.
        ordered: False: its host sees to the order of its own runs (a durable entity executes one operation at a time,
            and not always in the order of acceptance). It counts for ``queue_limit`` and makes ordered runs wait, but
            waits for none itself.
        queue_timeout_s: how long it may wait for its first execution before a sweep ends it.
        lease_s: until it begins, whoever accepted it is taken for dead so long after it last called ``wait_turn``, and
            a sweep ends the run; 0: nobody in particular will execute it, so that only ``queue_timeout_s`` counts.
        call: names this very call: repeated under this name by who did not hear the answer, it is told again that it
            has made the run, while that has not begun. Whoever is told so executes it, and nobody else does.
        redelivery_s: how long after losing its producer it may wait for its host to execute it again; 0: its
            host does not.
    """

    correlation_id: str
    agent_name: str
    message: Record | None = None
    idempotency_key: str | None = None
    fingerprint: str = ""
    call: str = ""
    queue_limit: int | None = None
    ordered: bool = True
    queue_timeout_s: float = 300.0
    lease_s: float = 0.0
    redelivery_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as its timeline knows it."""

    correlation_id: str
    agent_name: str
    state: RunState
    attempt: int
    cancel: bool
    terminal: Terminal | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The run, whether this call made it (see ``RunRequest.call``), and the events that this call appended."""

    run: Run
    fresh: bool
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Leave to execute, unless ``terminal`` is set: then the run is over, and that is how it ended.

    Args:
        number: rising, given out once each: 1, 2, 3 …; where no history is kept, the attempt's start in ms.
        cancel: somebody wants it to end.
    """

    number: int
    cancel: bool = False
    terminal: Terminal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Consecutive records of one attempt. One batch of a run is in flight at a time.

    Args:
        first_n: the first record's place in its attempt, from 1.
        records: at least one.
        terminal: set when the last record is the run's ``agentDone``: the append closes the run.
        seen: the last cursor that this producer was given; one that the store does not have shows that it lost
            events. Without history there are none.
    """

    correlation_id: str
    attempt: int
    first_n: int
    records: tuple[Record, ...]
    terminal: Terminal | None = None
    seen: Cursor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """Where a batch stands.

    Args:
        epoch, first_seq: the place of its first record, as in :class:`~streamsink.core.events.Event`.
        count: how many records it has.
        cancel: somebody wants the run to end.
        repeated: the batch had been appended before; these are its old places.
        placed: its events, if the timeline has made them.
    """

    epoch: str
    first_seq: int
    count: int
    cancel: bool = False
    repeated: bool = False
    placed: tuple[Event, ...] = field(default=(), repr=False)

    @property
    def cursor(self) -> Cursor | None:
        """The place of the last record; None where no history is kept: then nothing can be read after it."""
        if not self.epoch.isdecimal():
            return None
        return Cursor(int(self.epoch), self.first_seq + self.count - 1)

    def events(self, records: Sequence[Record]) -> tuple[Event, ...]:
        """The batch's records at their places."""
        return self.placed or tuple(record.at(self.epoch, self.first_seq + i) for i, record in enumerate(records))


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The runs that a cancel reached, and the terminals that it wrote for those still queued."""

    correlation_ids: tuple[str, ...]
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What an interruption appended; nothing when it had been recorded before."""

    events: tuple[Event, ...] = ()
