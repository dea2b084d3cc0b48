"""Cancelling a scenario after each turn of its event loop, one after the other: every await is hit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from streamsink.testing.clock import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["cancelled_at_turn"]


class _CountingLoop(VirtualTimeLoop):
    """A virtual-time loop that cancels a task at one of its turns."""

    def __init__(self, turn: int) -> None:
        super().__init__()
        self._turns_left = turn
        self.victim: asyncio.Task[None] | None = None

    def _run_once(self) -> None:
        if self.victim is not None:
            self._turns_left -= 1
            if self._turns_left == 0:
                self.victim.cancel()
        super()._run_once()  # type: ignore[misc]


def cancelled_at_turn(scenario: Callable[[], Coroutine[Any, Any, None]], turn: int) -> bool:
    """Run the scenario and cancel it at that turn; True when it had ended before.

    Raises:
        AssertionError: a task was left behind.
        BaseException: whatever the scenario raises, other than for being cancelled.
    """
    loop = _CountingLoop(turn)

    async def run() -> bool:
        loop.victim = asyncio.ensure_future(scenario())
        await asyncio.wait({loop.victim})
        for _ in range(3):
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks were left behind: {left}"
        if not loop.victim.cancelled():
            loop.victim.result()
        return not loop.victim.cancelled()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(run())
