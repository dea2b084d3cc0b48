"""The host's parts, put together at first use, on the loop that runs agents."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

__all__ = ["Parts"]

_T = TypeVar("_T")


class Parts(Generic[_T]):
    """Opens something once, for everybody who asks for it on one event loop.

    Args:
        open_parts: gives it. When that fails, whoever asked is told, and the next one tries again.
    """

    def __init__(self, open_parts: Callable[[], AbstractAsyncContextManager[_T]]) -> None:
        self._open_parts = open_parts
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._opened: list[_T] = []

    async def get(self) -> _T:
        """What is open, opened if it is not."""
        async with self._opening:
            if not self._opened:
                self._opened.append(await self._stack.enter_async_context(self._open_parts()))
            return self._opened[0]

    async def aclose(self) -> None:
        """Close what is open; idempotent. Whoever asks again opens it again."""
        async with self._opening:
            self._opened.clear()
            await self._stack.aclose()
