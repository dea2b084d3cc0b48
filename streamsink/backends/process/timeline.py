"""Many threads in one process: found, bounded, forgotten; who waits is woken."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from streamsink.backends.process.thread_runs import ThreadRuns
from streamsink.core.errors import ConflictError, ThreadDeletedError, UnavailableError
from streamsink.core.runtime import Runtime
from streamsink.core.timeline import Swept, Timeline

if TYPE_CHECKING:
    from streamsink.core.runs import Accepted, Appended, Attempt, Batch, Cancelled, Interrupted, Run, RunRequest

__all__ = ["ProcessTimeline"]

_Thread = TypeVar("_Thread", bound=ThreadRuns)

_MAX_TOMBSTONES: Final = 100_000
_MAX_OWNERS: Final = 1_000_000


class ProcessTimeline(Timeline, Generic[_Thread]):
    """Every thread in a dict; each call runs to its end without awaiting, so it is atomic on its loop.

    Args:
        ttl_s: a thread untouched for so many seconds, without an open run, is forgotten.
        max_bytes: of all threads; the least recently touched ones without an open run are forgotten first.
    """

    def __init__(self, *, ttl_s: float, max_bytes: int, runtime: Runtime | None = None) -> None:
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes
        self._runtime = runtime or Runtime()
        self._logs: OrderedDict[str, _Thread] = OrderedDict()
        self._tombstones: OrderedDict[str, None] = OrderedDict()
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._size = 0
        self._closed = False

    @abstractmethod
    def _new(self, thread: str) -> _Thread:
        """A thread of which nothing is known."""

    def log(self, thread: str) -> _Thread:
        """The thread's log, made when there is none."""
        self._check(thread)
        log = self._logs.get(thread)
        if log is None:
            log = self._logs[thread] = self._new(thread)
        log.touched_ms = self._runtime.now_ms()
        self._logs.move_to_end(thread)
        return log

    def _known(self, thread: str) -> _Thread:
        """The thread's log, not kept when there was none: looking makes nothing."""
        self._check(thread)
        return self._logs.get(thread) or self._new(thread)

    def _check(self, thread: str) -> None:
        self._check_open()
        if thread in self._tombstones:
            raise ThreadDeletedError("this thread has been deleted")

    def _check_open(self) -> None:
        if self._closed:
            raise UnavailableError("the timeline is closed")

    async def accept_run(self, thread: str, request: RunRequest) -> Accepted:
        log = self.log(thread)
        accepted = log.accept_run(request, self._runtime.now_ms())
        self._resize(log)
        return accepted

    async def begin_attempt(self, thread: str, correlation_id: str, *, lease_s: float, call: str = "") -> Attempt:
        return self._known(thread).begin_attempt(correlation_id, lease_s, self._runtime.now_ms(), call)

    async def wait_turn(self, thread: str, correlation_id: str, *, timeout_s: float) -> bool:
        turn = asyncio.Event()
        entry = self._known(thread).runs.get(correlation_id)
        entry.waiting += 1
        self._waiting.setdefault(thread, set()).add(turn)
        try:
            async with asyncio.timeout(timeout_s):
                while not self._is_turn(thread, correlation_id):
                    turn.clear()
                    await turn.wait()
        except TimeoutError:
            return False
        finally:
            entry.waiting -= 1
            entry.keep(self._runtime.now_ms())
            self._waiting[thread].discard(turn)
            if not self._waiting[thread]:
                del self._waiting[thread]
        return True

    def _is_turn(self, thread: str, correlation_id: str) -> bool:
        runs = self._known(thread).runs
        entry = runs.get(correlation_id)
        return entry.terminal is not None or runs.is_turn(entry)

    def _wake(self, thread: str) -> None:
        for turn in self._waiting.get(thread, ()):
            turn.set()

    async def append(self, thread: str, batch: Batch) -> Appended:
        log = self.log(thread)
        appended = log.append(batch, self._runtime.now_ms())
        self._resize(log)
        if batch.terminal is not None:
            self._wake(thread)
        return appended

    async def renew(self, thread: str, correlation_id: str, attempt: int, *, lease_s: float) -> bool:
        return self._known(thread).renew(correlation_id, attempt, lease_s, self._runtime.now_ms())

    async def cancel(self, thread: str, correlation_id: str | None = None) -> Cancelled:
        cancelled = self._known(thread).cancel(correlation_id, self._runtime.now_ms())
        self._wake(thread)
        return cancelled

    async def interrupt(self, thread: str, correlation_id: str, attempt: int) -> Interrupted:
        return self._known(thread).interrupt(correlation_id, attempt, self._runtime.now_ms())

    async def get_run(self, thread: str, correlation_id: str) -> Run | None:
        self._check_open()
        log = self._logs.get(thread)
        entry = log.runs.find(correlation_id) if log is not None else None
        return entry.view() if entry is not None else None

    async def register(self, thread: str, owner: str) -> None:
        self._check(thread)
        if self._owners.setdefault(thread, owner) != owner:
            raise ConflictError("this thread id belongs to somebody else")
        while len(self._owners) > _MAX_OWNERS:
            self._owners.popitem(last=False)

    async def owner(self, thread: str) -> str | None:
        return self._owners.get(thread)

    async def delete(self, thread: str) -> None:
        self._forget(thread)
        self._owners.pop(thread, None)
        self._tombstones[thread] = None
        while len(self._tombstones) > _MAX_TOMBSTONES:
            self._tombstones.popitem(last=False)
        self._wake(thread)

    async def sweep(self, thread: str | None = None) -> list[Swept]:
        now_ms = self._runtime.now_ms()
        threads = [thread] if thread is not None else list(self._logs)
        swept = [
            Swept(name, events) for name in threads if name in self._logs and (events := self._logs[name].sweep(now_ms))
        ]
        for each in swept:
            self._wake(each.thread)
        if thread is None:
            self._expire(now_ms)
        return swept

    def _expire(self, now_ms: int) -> None:
        oldest_ms = now_ms - self._ttl_s * 1000
        for thread, log in list(self._logs.items()):
            if log.touched_ms >= oldest_ms:
                break  # least recently touched first
            if not log.runs.open():
                self._forget(thread)

    def _resize(self, log: _Thread) -> None:
        """Count what ``log`` has grown by, and forget other threads when all of them are too large."""
        self._size += log.size - log.counted
        log.counted = log.size
        if self._size <= self._max_bytes:
            return
        for thread, other in list(self._logs.items()):
            if self._size <= self._max_bytes:
                return
            if other is not log and not other.runs.open():
                self._forget(thread)

    def _forget(self, thread: str) -> None:
        log = self._logs.pop(thread, None)
        self._size -= log.counted if log is not None else 0

    async def check(self) -> None:
        self._check_open()

    async def aclose(self) -> None:
        self._closed = True
        self._logs.clear()
        for thread in list(self._waiting):
            self._wake(thread)
