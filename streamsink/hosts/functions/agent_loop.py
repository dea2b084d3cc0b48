"""The loop on which the framework runs agents, and with them everything that is ours.

Clients belong to an event loop. Agents run on the framework's (``run_agent_coroutine``), HTTP functions on the
worker's: calls cross over as a whole, and clients never.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from agent_framework_durabletask import run_agent_coroutine

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["AgentLoop", "on_loop"]

_T = TypeVar("_T")


class AgentLoop:
    """Calls coroutine functions on the framework's loop, in the caller's context variables."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    async def call(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """From any event loop."""
        loop = self._loop
        if loop is None or not loop.is_running():
            loop = self._loop = await asyncio.to_thread(run_agent_coroutine, _this_loop())
        return await on_loop(loop, work)

    def call_from_thread(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """From a thread without an event loop, which is blocked meanwhile."""
        return run_agent_coroutine(work())


async def on_loop(loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Await a coroutine on another event loop; cancelling this cancels it.

    Raises:
        RuntimeError: that loop has ended.
    """
    if loop is asyncio.get_running_loop():
        return await work()
    coroutine = work()
    try:
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    except RuntimeError:
        coroutine.close()
        raise
    return await asyncio.wrap_future(future)


async def _this_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()
