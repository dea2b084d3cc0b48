"""An ability of a timeline that only its own process sees: to let another process execute what it has accepted."""

from __future__ import annotations

from abc import ABC, abstractmethod

__all__ = ["HandsOver"]


class HandsOver(ABC):
    """Forgets open runs without ending them."""

    @abstractmethod
    async def hand_over(self, thread: str, correlation_id: str) -> None:
        """Another process executes this run, unless it has begun here: it is known, so that its idempotency key goes on
        counting, but it is not open any more, waits for nothing and makes nothing wait, and no sweep ends it.
        """
