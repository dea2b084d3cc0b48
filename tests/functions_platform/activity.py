"""The host's own work in the background: owned, waited for without sleeping, ended with the host."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["Activity"]


class Activity:
    """Tasks, and waiters that look again whenever something has changed."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._changed = asyncio.Event()

    def spawn(self, work: Coroutine[Any, Any, None], *, timer: bool = False) -> None:
        """Run `work`. A timer is not waited for by `idle`: it may be set for the year 9999."""
        task = asyncio.create_task(work, name=getattr(work, "__qualname__", None))
        owner = self._timers if timer else self._tasks
        owner.add(task)
        task.add_done_callback(owner.discard)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failures.append(failure)
        self.changed()

    def changed(self) -> None:
        """Let the waiters look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for `condition`.

        Raises:
            TimeoutError: it did not come true in time.
        """
        async with asyncio.timeout(self._timeout_s):
            await self.when(lambda: condition() or bool(self._failures))
        self._raise_failure()

    async def when(self, condition: Callable[[], bool]) -> None:
        """Wait for `condition` as long as it takes."""
        while not condition():
            await self._changed.wait()

    async def idle(self) -> None:
        """Wait until no work is left (what a test holds back is work).

        Raises:
            TimeoutError: some is.
        """
        await self.until(lambda: not self._tasks)

    def _raise_failure(self) -> None:
        if self._failures:
            raise self._failures.pop()

    async def aclose(self) -> None:
        tasks = self._tasks | self._timers
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._raise_failure()
