"""Virtual time: an event loop whose clock jumps to the next timer when nothing else is left to do.

Timeouts, windows and leases then run at once and in order, without sleeping; a test that would wait for ever is
told so.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
import time
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from streamsink.core.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["VirtualTimeLoop", "virtual_runtime", "virtual_time", "without_leaks"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

# Something outside the loop (a thread) may still wake it; past this, nothing will.
_DEADLOCK_S: Final = 10.0
# What has lost its peer hears of it from the kernel.
_ENDING_S: Final = 0.5
_START_MS: Final = 1_700_000_000_000


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits for time: says how much has passed instead."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            ready = super().select(_DEADLOCK_S)
            if not ready:
                raise RuntimeError("deadlock: nothing is scheduled and nothing happens")
            return ready
        self._jump(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time. Sockets and threads work, but time does not wait for them."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_JumpingSelector(self.advance))

    def time(self) -> float:
        return self._now_s

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """As ever, but for the timeout (Python 3.12): threads end in real time."""
        await super().shutdown_default_executor()

    def advance(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self._now_s += seconds


def virtual_time(test: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, _T]:
    """Run a coroutine function, for example a test, on a loop of its own with virtual time."""

    @functools.wraps(test)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(without_leaks(test(*args, **kwargs)))

    return run


async def without_leaks(work: Coroutine[Any, Any, _T]) -> _T:
    """Await ``work``.

    Raises:
        AssertionError: it has left a task behind.
    """
    before = asyncio.all_tasks()
    result = await work
    patient_until = time.monotonic() + _ENDING_S
    while left := asyncio.all_tasks() - before:  # what has been cancelled, or has lost its peer, may end
        if time.monotonic() > patient_until:
            raise AssertionError(f"tasks were left behind: {', '.join(sorted(map(repr, left)))}")
        await asyncio.sleep(0)  # in virtual time, no timer is due while there is something to do
    return result


def virtual_runtime() -> Runtime:
    """A runtime on the running loop's time, with ids ``id-1``, ``id-2`` … and no jitter."""
    loop = asyncio.get_running_loop()
    count = 0

    def new_id() -> str:
        nonlocal count
        count += 1
        return f"id-{count}"

    return Runtime(now_ms=lambda: _START_MS + int(loop.time() * 1000), new_id=new_id, random=lambda: 1.0)
