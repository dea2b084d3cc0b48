"""Carries one run's drafts to its sink: one batch in flight, a lease kept, a lost store survived."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from streamsink.core.drafts import DataDraft, Draft, Drafts, data_draft
from streamsink.core.errors import (
    EpochChangedError,
    RunClosedError,
    StaleAttemptError,
    StreamOverflowError,
    StreamSinkError,
    UnavailableError,
)
from streamsink.core.events import AGENT_STARTED, Envelope, Record, Terminal
from streamsink.core.replay import write_snapshot
from streamsink.core.timeline import Appended, Batch, RunRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from streamsink.core.coalescer import Coalescer
    from streamsink.core.cursor import Cursor
    from streamsink.core.sink import StreamSink

__all__ = ["Pump"]

_log = logging.getLogger("streamsink")
_T = TypeVar("_T")

# A batch is a bounded piece of work for the store, however much is waiting.
_MAX_BATCH_BYTES = 262_144
_FIRST_RETRY_S = 0.05
_LONGEST_RETRY_S = 2.0


class Pump:
    """The sending half of a publisher: a task, owned by the sink, that begins here and ends with the run's terminal.

    Everything said is kept until then, for a store that loses it: ``PublishOptions.max_run_bytes`` bounds a run.

    Args:
        lock: guards what waits, which other threads add to.
        on_stop: called on the sink's loop when the run should end; with the error when it cannot go on.

    Attributes:
        attempt: the attempt that is being published; a later one after the store has lost events.
    """

    def __init__(
        self,
        sink: StreamSink,
        thread: str,
        request: RunRequest,
        attempt: int,
        coalescer: Coalescer,
        lock: threading.Lock,
        on_stop: Callable[[BaseException | None], None],
    ) -> None:
        self._sink = sink
        self._thread = thread
        self._request = request
        self.attempt: int = attempt
        self._coalescer = coalescer
        self._lock = lock
        self._on_stop = on_stop
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._woken = asyncio.Event()
        self._envelope = Envelope(thread, request.correlation_id, request.agent_name)
        self._journal = Drafts()
        self._next_n = 1
        self._seen: Cursor | None = None
        self._since_snapshot = 0
        self._renew_at = self._loop.time() + sink.options.lease_s / 3
        self._last: tuple[Draft, Terminal] | None = None
        self._written: Terminal | None = None
        self._failure: BaseException | None = None
        self._coalescer.push(data_draft(AGENT_STARTED, {}, at_ms=sink.runtime.now_ms()))
        self._task = sink.tasks.start(self._run(), name=f"streamsink run {request.correlation_id}")
        self._task.add_done_callback(self._ended)

    def push(self, draft: Draft) -> None:
        """Hold one more thing to send; under the lock.

        Raises:
            StreamOverflowError: too much is waiting, or has been said; nothing was taken.
        """
        options = self._sink.options
        if isinstance(draft, DataDraft):
            draft.bound(options.max_event_bytes)
        if self._journal.size + self._coalescer.size + draft.size > options.max_run_bytes:
            raise StreamOverflowError(f"the run says more than a run may: {options.max_run_bytes} bytes")
        self._coalescer.push(draft)

    def wake(self) -> None:
        """Something is waiting. From any thread."""
        if threading.get_ident() == self._loop_thread:
            self._woken.set()
            return
        with suppress(RuntimeError):  # the loop is closed: nothing sends any more
            self._loop.call_soon_threadsafe(self._woken.set)

    async def finish(self, draft: Draft, terminal: Terminal) -> Terminal:
        """Send what waits and then the terminal; returns the terminal that the timeline holds.

        The first call counts. Cancelling the caller does not stop the sending: the sink owns it.

        Raises:
            StreamSinkError: no terminal could be written.
        """
        if self._last is None:
            self._last = (draft, terminal)
            self._woken.set()
            self._sink.tasks.ending(self._task)
        await asyncio.wait({self._task})
        if self._written is None and self._failure is not None:
            raise self._failure
        return self._written or terminal

    async def _run(self) -> None:
        try:
            while self._last is None:
                await self._turn()
            await self._send_last(*self._last)
        except (RunClosedError, StaleAttemptError) as reason:
            await self._ended_elsewhere(reason)
        await self._snapshot()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Nothing is sent any more; whoever publishes hears why, whatever it is."""
        if task.cancelled():
            self._failure = UnavailableError("the sink was closed before the run's end was written")
        else:
            self._failure = task.exception()
        if self._failure is not None:
            _log.error("run %s was left open: %s", self._request.correlation_id, type(self._failure).__name__)
            self._on_stop(self._failure)

    async def _turn(self) -> None:
        now = self._loop.time()
        with self._lock:
            due = self._coalescer.due()
            drafts = self._coalescer.take(now) if due is not None and due <= now else []
        if drafts:
            await self._send(drafts)
            self._coalescer.sent()
        elif now >= self._renew_at:
            await self._renew()
        else:
            await self._sleep_until(self._renew_at if due is None else min(due, self._renew_at))

    async def _sleep_until(self, when: float) -> None:
        try:
            async with asyncio.timeout_at(when):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()

    async def _send(self, drafts: list[Draft], terminal: Terminal | None = None) -> None:
        records = self._records(drafts)
        self._journal.extend(drafts)
        await self._send_records(records, terminal)
        if terminal is None and self._since_snapshot >= self._sink.options.snapshot_every:
            await self._snapshot()

    async def _send_last(self, done: Draft, terminal: Terminal) -> None:
        with self._lock:
            drafts = self._coalescer.drain(self._loop.time())
        await self._send([*drafts, done], terminal)
        self._written = terminal

    async def _send_records(self, records: list[Record], terminal: Terminal | None = None) -> None:
        batches = list(_split(records))
        for i, records_of_batch in enumerate(batches):
            closing = terminal if i == len(batches) - 1 else None
            try:
                await self._send_batch(tuple(records_of_batch), closing)
            except EpochChangedError:
                await self._append_again(terminal)
                return

    async def _send_batch(self, records: tuple[Record, ...], terminal: Terminal | None) -> None:
        batch = Batch(
            correlation_id=self._request.correlation_id,
            attempt=self.attempt,
            first_n=self._next_n,
            records=records,
            terminal=terminal,
            seen=self._seen,
        )
        appended = await self._persist(lambda: self._sink.send(self._thread, batch))
        self._note(appended, len(records))

    def _note(self, appended: Appended, count: int) -> None:
        self._next_n += count
        self._since_snapshot += count
        self._seen = appended.cursor
        self._renew_at = self._loop.time() + self._sink.options.lease_s / 3
        if appended.cancel:
            self._on_stop(None)

    async def _append_again(self, terminal: Terminal | None) -> None:
        """The store lost events: say everything again, as a new attempt in its new epoch."""
        run = await self._persist(lambda: self._sink.get_run(self._thread, self._request.correlation_id))
        if run is not None and run.attempt > self.attempt:
            raise StaleAttemptError("a newer attempt of this run has begun")
        await self._persist(lambda: self._sink.accept_run(self._thread, self._request))
        lease_s = self._sink.options.lease_s
        attempt = await self._persist(
            lambda: self._sink.begin_attempt(self._thread, self._request.correlation_id, lease_s=lease_s)
        )
        if attempt.terminal is not None:
            raise RunClosedError("the run has its terminal")
        self.attempt, self._next_n, self._seen = attempt.number, 1, None
        await self._send_records(self._records(self._journal), terminal)

    def _records(self, drafts: Iterable[Draft]) -> list[Record]:
        max_bytes = self._sink.options.max_event_bytes
        return [record for draft in drafts for record in draft.records(self._envelope, self.attempt, max_bytes)]

    async def _renew(self) -> None:
        lease_s = self._sink.options.lease_s
        correlation_id = self._request.correlation_id
        cancel = await self._persist(
            lambda: self._sink.renew(self._thread, correlation_id, self.attempt, lease_s=lease_s)
        )
        self._renew_at = self._loop.time() + lease_s / 3
        if cancel:
            self._on_stop(None)

    async def _persist(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Make a repeatable call until the store answers, within ``give_up_s``."""
        give_up_at = self._loop.time() + self._sink.options.give_up_s
        delay_s = _FIRST_RETRY_S
        while True:
            try:
                return await call()
            except UnavailableError:
                if self._loop.time() + delay_s > give_up_at:
                    raise
                await asyncio.sleep(self._sink.runtime.jittered(delay_s))
                delay_s = min(delay_s * 2, _LONGEST_RETRY_S)

    async def _ended_elsewhere(self, reason: StreamSinkError) -> None:
        run = await self._persist(lambda: self._sink.get_run(self._thread, self._request.correlation_id))
        self._written = run.terminal if run is not None else None
        self._on_stop(reason)

    async def _snapshot(self) -> None:
        self._since_snapshot = 0
        try:
            await write_snapshot(self._sink, self._thread)
        except StreamSinkError as reason:
            # Only the next reader's work grows; the next snapshot covers this one.
            _log.warning("no snapshot of run %s: %s", self._request.correlation_id, type(reason).__name__)


def _split(records: list[Record]) -> list[list[Record]]:
    batches: list[list[Record]] = [[]]
    size = 0
    for record in records:
        if batches[-1] and size + len(record.body) > _MAX_BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(record)
        size += len(record.body)
    return batches
