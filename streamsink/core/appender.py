"""One run's place in its timeline: its attempt, its next record, its lease; and patience with the store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from streamsink.core.errors import RunClosedError, StaleAttemptError
from streamsink.core.patience import persist
from streamsink.core.runs import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.core.cursor import Cursor
    from streamsink.core.events import Record, Terminal
    from streamsink.core.runs import Attempt, Run, RunRequest
    from streamsink.core.sink import StreamSink

__all__ = ["Appender", "begin_run"]

# A batch is a bounded piece of work for the store, however much is waiting.
_MAX_BATCH_BYTES: Final = 262_144
# How soon a producer elsewhere hears of a cancel while it has nothing to say.
_LONGEST_SILENCE_S: Final = 2.0


async def begin_run(sink: StreamSink, thread: str, request: RunRequest) -> tuple[RunRequest, Attempt]:
    """Make sure of a run, and begin an attempt; both again while the store cannot be reached.

    Returns:
        What to ask for from now on: the run that its idempotency key names, if that is another one.

    Raises:
        StreamSinkError: as ``Timeline.accept_run`` and ``Timeline.begin_attempt``.
    """
    accepted = await persist(sink, lambda: sink.accept_run(thread, request))
    correlation_id = accepted.run.correlation_id
    if correlation_id != request.correlation_id:
        request = replace(request, correlation_id=correlation_id, message=None)
    lease_s, call = sink.options.lease_s, sink.runtime.new_id()
    attempt = await persist(sink, lambda: sink.begin_attempt(thread, correlation_id, lease_s=lease_s, call=call))
    return request, attempt


class Appender:
    """Appends to one run, one batch at a time. Every call is repeated while the store cannot be reached, within
    ``PublishOptions.give_up_s``, and then raises ``UnavailableError``.

    Attributes:
        attempt: the attempt that is being published; a later one after ``restart``.
        renew_at: when to ``renew``, on the loop's clock, unless something is appended before.
    """

    def __init__(self, sink: StreamSink, thread: str, request: RunRequest, attempt: int) -> None:
        self._sink = sink
        self._thread = thread
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._next_n = 1
        self._seen: Cursor | None = None
        self.attempt: int = attempt
        self.renew_at: float = self._next_renewal()

    def _next_renewal(self) -> float:
        return self._loop.time() + min(self._sink.options.lease_s / 3, _LONGEST_SILENCE_S)

    async def append(self, records: Sequence[Record], terminal: Terminal | None) -> bool:
        """Append and deliver, in as few batches as they fit in; True when somebody wants the run to end.

        Raises:
            StreamSinkError: as ``Timeline.append``.
        """
        cancel = False
        batches = list(_split(records))
        for i, part in enumerate(batches):
            cancel = await self._append(part, terminal if i == len(batches) - 1 else None)
        return cancel

    async def _append(self, records: tuple[Record, ...], terminal: Terminal | None) -> bool:
        batch = Batch(
            correlation_id=self._request.correlation_id,
            attempt=self.attempt,
            first_n=self._next_n,
            records=records,
            terminal=terminal,
            seen=self._seen,
        )
        appended = await persist(self._sink, lambda: self._sink.send(self._thread, batch))
        self._next_n += len(records)
        self._seen = appended.cursor
        self.renew_at = self._next_renewal()
        return appended.cancel

    async def renew(self) -> bool:
        """Extend the lease; True when somebody wants the run to end.

        Raises:
            StreamSinkError: as ``Timeline.renew``.
        """
        lease_s = self._sink.options.lease_s
        correlation_id = self._request.correlation_id
        cancel = await persist(
            self._sink, lambda: self._sink.renew(self._thread, correlation_id, self.attempt, lease_s=lease_s)
        )
        self.renew_at = self._next_renewal()
        return cancel

    async def restart(self) -> None:
        """The store lost events, perhaps the run itself: begin another attempt, to say everything again.

        Raises:
            StaleAttemptError: somebody else has begun one.
            RunClosedError: the run has its terminal.
        """
        run = await self._run()
        if run is not None and run.attempt > self.attempt:
            raise StaleAttemptError("a newer attempt of this run has begun")
        _, attempt = await begin_run(self._sink, self._thread, self._request)
        if attempt.terminal is not None:
            raise RunClosedError("the run has its terminal")
        self.attempt, self._next_n, self._seen = attempt.number, 1, None

    async def terminal(self) -> Terminal | None:
        """How the run ended, according to the timeline."""
        run = await self._run()
        return run.terminal if run is not None else None

    async def _run(self) -> Run | None:
        return await persist(self._sink, lambda: self._sink.get_run(self._thread, self._request.correlation_id))


def _split(records: Sequence[Record]) -> list[tuple[Record, ...]]:
    batches: list[list[Record]] = [[]]
    size = 0
    for record in records:
        if batches[-1] and size + len(record.body) > _MAX_BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(record)
        size += len(record.body)
    return [tuple(batch) for batch in batches]
