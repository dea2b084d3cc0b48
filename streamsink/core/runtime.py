"""What the outside world gives: time, ids, randomness. Injected, so that tests own them."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["Runtime", "TaskOwner", "run_unless"]


def _new_id() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Args:
    now_ms: wall clock, milliseconds since 1970.
    new_id: a fresh, unguessable, URL-safe id.
    random: a number in [0, 1), for jitter.
    """

    now_ms: Callable[[], int] = field(default=lambda: time.time_ns() // 1_000_000)
    new_id: Callable[[], str] = field(default=_new_id)
    random: Callable[[], float] = field(default=random.random)

    def jittered(self, seconds: float) -> float:
        """Between half of ``seconds`` and all of it, so that many waiters do not come back at once."""
        return seconds * (0.5 + self.random() / 2)


class TaskOwner:
    """Owns background tasks: each is ended and awaited by ``aclose``."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ending: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run ``work`` until it ends or this owner closes. Its failure is the caller's to look at."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def ending(self, task: asyncio.Task[Any]) -> None:
        """This task is about to end by itself, and what it does until then should not be lost."""
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def aclose(self, *, grace_s: float = 0.0, ending_s: float = 0.0) -> None:
        """Give the tasks ``grace_s`` seconds, and those that are ``ending`` another ``ending_s``, then cancel those
        left; returns when all have ended."""
        try:
            await _wait(self._tasks, grace_s)
            await _cancel(self._tasks - self._ending)
            await _wait(self._ending, ending_s)
        finally:  # also when this is cancelled
            while self._tasks:  # one that is being cancelled may start another
                await _cancel(self._tasks)


async def _wait(tasks: set[asyncio.Task[Any]], timeout_s: float) -> None:
    if tasks and timeout_s > 0:
        await asyncio.wait(set(tasks), timeout=timeout_s)


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(set(tasks))


async def run_unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Run ``work`` to its end: True; or until ``stop`` is set, then cancel it and wait for it: False. Where it is set
    already, ``work`` does not begin.

    Raises:
        BaseException: whatever ``work`` raises, other than for being cancelled here.
    """
    if stop.is_set():
        work.close()
        return False
    task = asyncio.ensure_future(work)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        finished = task.done()
        task.cancel()
        await asyncio.wait({task, stopped})
        if not task.cancelled():
            task.exception()  # looked at, even when the caller's own cancellation hides it
    if finished or not task.cancelled():
        task.result()
    return finished
