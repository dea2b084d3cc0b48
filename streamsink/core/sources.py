"""Publishing a whole stream, of an agent or of anybody else, as one run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Any

from streamsink.core.errors import InvalidRequestError
from streamsink.core.events import Terminal
from streamsink.core.identity import resolve
from streamsink.core.runtime import run_unless

if TYPE_CHECKING:
    from streamsink.core.publishing import RunPublisher

__all__ = ["publish"]


async def publish(run: RunPublisher, source: AsyncIterable[Any] | Iterable[Any]) -> Terminal:
    """Publish everything that ``source`` gives; stops, ``cancelled``, as soon as the run should end.

    Raises:
        InvalidRequestError: it gives nothing piece by piece; no run has been accepted.
    """
    await _check(source)
    async with run:
        if not await run_unless(run.cancelled, _consume(source, run)) and run.terminal is None:
            await run.finish("cancelled")
    return run.terminal or Terminal("completed")


async def _check(source: object) -> None:
    if not isinstance(source, AsyncIterable | Iterable):
        await _close(source)  # Python warns of a coroutine that nobody awaits
        raise InvalidRequestError("only a stream can be published: pass agent.run(…, stream=True), or an iterable")


async def _consume(source: AsyncIterable[Any] | Iterable[Any], run: RunPublisher) -> None:
    if isinstance(source, AsyncIterable):
        try:
            async for update in source:
                run.update(update)
        except BaseException:
            await _close(source)
            if run.cancelled.is_set():
                await _keep_partial(source)
            raise
        return
    for update in source:
        run.update(update)
        await asyncio.sleep(0)  # a plain iterator would keep the loop from sending


async def _close(source: object) -> None:
    """Let a stream that is not read to its end release what it holds: a generator, or the framework's own stream."""
    close = getattr(source, "aclose", None) or getattr(source, "close", None)
    if close is not None:
        await resolve(close())


async def _keep_partial(source: object) -> None:
    """Have the framework's history keep what was said before a cancel.

    Its streams write to it when they are asked for their final response, which after ``close`` is made of the updates
    seen; nothing is asked of the model (agent-framework-core 1.23.0, ``ResponseStream.get_final_response``).
    """
    get_final_response = getattr(source, "get_final_response", None)
    if get_final_response is not None:
        await resolve(get_final_response())
