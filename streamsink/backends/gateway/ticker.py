"""One clock hand for all connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from streamsink.backends.gateway.tasks import stop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Ticker"]


class Ticker:
    """Calls a function again and again, from one task, between :meth:`start` and :meth:`stop`.

    Args:
        tick: should not raise; it would be the last tick.
        interval_s: between calls.
        sleep: how to wait.
    """

    def __init__(
        self,
        tick: Callable[[], None],
        *,
        interval_s: float = 1.0,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._tick = tick
        self._interval_s = interval_s
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; again is harmless.

        Raises:
            Exception: what a tick raised.
        """
        task, self._task = self._task, None
        if task is not None:
            await stop(task)

    async def _run(self) -> None:
        while True:
            await self._sleep(self._interval_s)
            self._tick()
