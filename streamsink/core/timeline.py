"""The timeline contract: a thread's ordered events, run records and snapshots. The truth.

Every method is atomic: it happens as a whole or raises having changed nothing, and a call whose reply was lost may
be made again. Every method may raise ``UnavailableError`` (the store cannot be reached; try again) and, but for
``read``, ``get_run``, ``owner`` and ``delete``, ``ThreadDeletedError`` (the thread's tombstone refuses everything).
Times are the store's own; callers pass durations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamsink.core.cursor import Cursor
    from streamsink.core.events import Event
    from streamsink.core.runs import Accepted, Appended, Attempt, Batch, Cancelled, Interrupted, Run, RunRequest

__all__ = [
    "Page",
    "Snapshot",
    "Swept",
    "Timeline",
]


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep wrote into one thread."""

    thread: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive events.

    Args:
        events: those after the cursor that was asked for, oldest first.
        head: the thread's newest place; None when it has none.
        gone: the cursor names a place that this timeline does not have (never had, lost, trimmed); ``events`` then
            begin with the oldest there is. A place in a surviving older epoch is not gone.
        more: there are events after the last of these.
    """

    events: tuple[Event, ...]
    head: Cursor | None
    gone: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A conversation's state at a cursor.

    Args:
        cursor: the state is that of every event up to here.
        parts: JSON documents of the version in docs/protocol.md, to be concatenated; at least one.
    """

    cursor: Cursor
    parts: tuple[bytes, ...]


class Timeline(ABC):
    """Threads and what happened in them."""

    @property
    def keeps_history(self) -> bool:
        """Whether what was appended can be read again.

        Otherwise ``read`` and ``get_snapshot`` find nothing, ``put_snapshot`` stores nothing, and places are
        ``<correlation id>.<attempt>:<n>``, which no cursor names. Who reads still notices a producer that died.
        """
        return True

    @abstractmethod
    async def accept_run(self, thread: str, request: RunRequest) -> Accepted:
        """Make a run and append its user message; the same call again returns the same run.

        Raises:
            BusyError: ``queue_limit`` runs of this agent are open on this thread.
            KeyReusedError: the idempotency key belongs to a request with another fingerprint.
        """

    @abstractmethod
    async def begin_attempt(self, thread: str, correlation_id: str, *, lease_s: float, call: str = "") -> Attempt:
        """Take the run's next attempt number, under a lease that ``append`` and ``renew`` extend.

        Args:
            call: names this very call: repeated under this name it answers the attempt that it has begun, while that
                executes. Without a name each call begins a further attempt.

        Raises:
            NotFoundError: there is no such run.
            BusyError: an earlier run of the same agent is open; ``wait_turn`` says when to try again.
        """

    @abstractmethod
    async def wait_turn(self, thread: str, correlation_id: str, *, timeout_s: float) -> bool:
        """Wait until ``begin_attempt`` is worth trying: True; False when ``timeout_s`` has passed first.

        Until it begins the run is kept by this: see ``RunRequest.lease_s``.
        """

    @abstractmethod
    async def append(self, thread: str, batch: Batch) -> Appended:
        """Append a batch as a whole: the commit.

        A batch that was appended before returns its old place. With ``batch.terminal`` the run is closed by
        compare-and-set: of two terminals exactly one is written.

        Raises:
            StaleAttemptError: a newer attempt has begun, or this one has been interrupted.
            RunClosedError: the run has its terminal.
            EpochChangedError: the store has lost events since ``batch.seen``. The producer makes sure of its run with
                ``accept_run``, begins a new attempt and appends everything again under it.
            NotFoundError: there is no such run.
            InvalidRequestError: ``first_n`` does not follow the attempt's last batch.
        """

    @abstractmethod
    async def renew(self, thread: str, correlation_id: str, attempt: int, *, lease_s: float) -> bool:
        """Extend the lease; True when somebody wants the run to end.

        Raises:
            StaleAttemptError, RunClosedError, NotFoundError: as ``append``.
        """

    @abstractmethod
    async def cancel(self, thread: str, correlation_id: str | None = None) -> Cancelled:
        """Ask one open run, or all of the thread, to end. One that has not begun ends here, ``cancelled``.

        Raises:
            NotFoundError: there is no such run. A run that is over is no error; it is not among those reached.
        """

    @abstractmethod
    async def interrupt(self, thread: str, correlation_id: str, attempt: int) -> Interrupted:
        """Record that this attempt's host died and will execute the run again. Idempotent per attempt."""

    @abstractmethod
    async def get_run(self, thread: str, correlation_id: str) -> Run | None:
        """The run, or None."""

    @abstractmethod
    async def read(self, thread: str, after: Cursor | None, *, limit: int, max_bytes: int) -> Page:
        """Events after a cursor (None: from the beginning): at most ``limit``, and at most ``max_bytes`` of bodies
        unless a single one is larger."""

    @abstractmethod
    async def get_snapshot(self, thread: str) -> Snapshot | None:
        """The newest snapshot, or None."""

    @abstractmethod
    async def put_snapshot(self, thread: str, snapshot: Snapshot, *, expected: Cursor | None) -> bool:
        """Replace the snapshot taken at ``expected`` (None: the first one); False when another one is there.

        Events up to a stored snapshot may be trimmed, later ones never.
        """

    @abstractmethod
    async def register(self, thread: str, owner: str) -> None:
        """Bind an id that was not minted here to the user with that id; again, for the same user, is no error.

        Raises:
            ConflictError: it belongs to somebody else.
        """

    @abstractmethod
    async def owner(self, thread: str) -> str | None:
        """The id of the user that a registered thread belongs to."""

    @abstractmethod
    async def delete(self, thread: str) -> None:
        """Remove everything but a content-free tombstone. Idempotent."""

    @abstractmethod
    async def sweep(self, thread: str | None = None) -> list[Swept]:
        """End what has outlived its time, in one thread or in all.

        An executing run whose lease is over fails with ``producer_lost``, or is interrupted first when its host
        redelivers; so does one that nobody waits for any more. One queued past its time fails with
        ``queue_timeout``. Any number of sweeps write one terminal.
        """

    @abstractmethod
    async def check(self) -> None:
        """Return when the store can be written.

        Raises:
            UnavailableError: why it cannot.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Release everything; idempotent. What was passed in from outside is left open."""
