"""Every session of a gateway: one clock hand for all, and their end."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from streamsink.backends.gateway.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from streamsink.backends.gateway.session import Session

__all__ = ["Sessions"]


class Sessions:
    """Those that there are. One task runs while there are any.

    Args:
        clock: seconds, never going back.
        sleep: between two looks at the clock.
    """

    def __init__(self, *, clock: Callable[[], float], sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep) -> None:
        self._clock = clock
        self._last_tick = clock()
        self._ticker = Ticker(self.tick, sleep=sleep)
        self._sessions: set[Session] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._sessions)

    @asynccontextmanager
    async def holding(self, session: Session) -> AsyncIterator[None]:
        """Count a session in while it is served."""
        self._sessions.add(session)
        self._is_idle.clear()
        self._ticker.start()
        try:
            yield
        finally:
            self._sessions.discard(session)
            if not self._sessions:
                self._is_idle.set()
                await self._ticker.stop()

    def tick(self) -> None:
        """Send the pings and end the connections that are due."""
        now, previous = self._clock(), self._last_tick
        self._last_tick = now
        for session in tuple(self._sessions):
            session.tick(now, previous)

    def drain(self) -> None:
        """Ask every client to reconnect."""
        for session in tuple(self._sessions):
            session.close(allow_reconnect=True)

    async def idle(self) -> None:
        """Return when there are none."""
        await self._is_idle.wait()
