"""The terminal of a run that nothing executes any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamsink.core.runs import RunRequest
    from streamsink.core.sink import StreamSink

__all__ = ["end_run"]


async def end_run(sink: StreamSink, thread: str, request: RunRequest, message: str) -> None:
    """Write that it has failed, unless it has its terminal.

    Raises:
        StreamSinkError: that could not be written; a sweep will write it.
    """
    async with sink.run(thread, request=request) as run:
        await run.finish("failed", code="agent_error", message=message)
