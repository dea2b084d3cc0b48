"""Carries one run's drafts to its sink: one batch in flight, a lease kept, a lost store survived."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from streamsink.core.appender import Appender
from streamsink.core.drafts import DataDraft, Draft, Drafts, data_draft
from streamsink.core.errors import (
    EpochChangedError,
    RunClosedError,
    StaleAttemptError,
    StreamOverflowError,
    StreamSinkError,
    ThreadDeletedError,
    UnavailableError,
)
from streamsink.core.events import AGENT_STARTED, Envelope, Record, Terminal
from streamsink.core.replay import write_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streamsink.core.coalescer import Coalescer
    from streamsink.core.runs import RunRequest
    from streamsink.core.sink import StreamSink

__all__ = ["Pump"]

_log = logging.getLogger("streamsink")


class Pump:
    """The sending half of a publisher: a task, owned by the sink, that begins here and ends with the run's terminal.

    Everything said is kept until then, for a store that loses it: ``PublishOptions.max_run_bytes`` bounds a run.

    Args:
        lock: guards what waits, which other threads add to.
        on_stop: called on the sink's loop when the run should end; with the error when it cannot go on.

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
        self._appender = Appender(sink, thread, request, attempt)
        self._coalescer = coalescer
        self._lock = lock
        self._on_stop = on_stop
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._woken = asyncio.Event()
        self._envelope = Envelope(thread, request.correlation_id, request.agent_name)
        self._journal = Drafts()
        self._since_snapshot = 0
        self._last: tuple[Draft, Terminal] | None = None
        self._written: Terminal | None = None
        self._failure: BaseException | None = None
        self._coalescer.push(data_draft(AGENT_STARTED, {}, at_ms=sink.runtime.now_ms()))
        self._task = sink.tasks.start(self._run(), name=f"streamsink run {request.correlation_id}")
        self._task.add_done_callback(self._ended)
        self._unlisten = sink.on_cancel(thread, request.correlation_id, lambda: on_stop(None))

    @property
    def attempt(self) -> int:
        """The attempt that is being published; a later one after the store has lost events."""
        return self._appender.attempt

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
            self._written = await self._appender.terminal()
            self._on_stop(reason)
        await self._snapshot()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Nothing is sent any more; whoever publishes hears why, whatever it is."""
        self._unlisten()
        if task.cancelled():
            self._failure = UnavailableError("the sink was closed before the run's end was written")
        else:
            self._failure = task.exception()
        if self._failure is not None:
            if not isinstance(self._failure, ThreadDeletedError):  # nothing is left there
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
        elif now >= self._appender.renew_at:
            if await self._appender.renew():
                self._on_stop(None)
        else:
            renew_at = self._appender.renew_at
            await self._sleep_until(renew_at if due is None else min(due, renew_at))

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
        await self._append(records, terminal)
        self._since_snapshot += len(records)
        if terminal is None and self._since_snapshot >= self._sink.options.snapshot_every:
            await self._snapshot()

    async def _send_last(self, done: Draft, terminal: Terminal) -> None:
        with self._lock:
            drafts = self._coalescer.drain(self._loop.time())
        await self._send([*drafts, done], terminal)
        self._written = terminal

    async def _append(self, records: list[Record], terminal: Terminal | None) -> None:
        try:
            cancel = await self._appender.append(records, terminal)
        except EpochChangedError:
            await self._appender.restart()
            await self._append(self._records(self._journal), terminal)
            return
        if cancel:
            self._on_stop(None)

    def _records(self, drafts: Iterable[Draft]) -> list[Record]:
        max_bytes, attempt = self._sink.options.max_event_bytes, self._appender.attempt
        return [record for draft in drafts for record in draft.records(self._envelope, attempt, max_bytes)]

    async def _snapshot(self) -> None:
        self._since_snapshot = 0
        try:
            await write_snapshot(self._sink, self._thread)
        except StreamSinkError as reason:
            # Only the next reader's work grows; the next snapshot covers this one.
            _log.warning("no snapshot of run %s: %s", self._request.correlation_id, type(reason).__name__)
