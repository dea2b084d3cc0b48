"""The end of a task that has an owner."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["stop"]


async def stop(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end.

    Raises:
        Exception: what it died of, if not of this.
    """
    task.cancel()
    # Not gather: it would replace the message of a cancellation of ours, by which anyio knows its own.
    await asyncio.wait({task})
    if not task.cancelled() and (failure := task.exception()) is not None:
        raise failure
