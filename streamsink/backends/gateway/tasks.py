"""The end of a task that has an owner."""

from __future__ import annotations

import asyncio

__all__ = ["stop"]


async def stop(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end.

    Raises:
        Exception: what it died of, if not of this.
    """
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome
