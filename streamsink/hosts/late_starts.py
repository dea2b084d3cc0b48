"""Runs that were accepted although the store's answer did not come: whoever asked for them executes them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from streamsink.core.errors import StreamSinkError, UnavailableError

if TYPE_CHECKING:
    from streamsink.core.sink import StreamSink
    from streamsink.hosts.agent_host import AgentHost, Job

__all__ = ["start_if_accepted"]

_log = logging.getLogger("streamsink")

# What a store that was silent had in its buffers, it does soon after it is back.
_WAITS_S: Final = (0.5, 1.0, 2.0, 4.0, *[5.0] * 8)


async def start_if_accepted(sink: StreamSink, host: AgentHost, job: Job) -> None:
    """Look for the run for about a minute, and have it executed when it is there, waits, and was made by this request.

    Without this it would end unexecuted: a request that is repeated with its key, or the same answer again, finds the
    run accepted, and leaves it to whoever accepted it.
    """
    for wait_s in _WAITS_S:
        await asyncio.sleep(sink.runtime.jittered(wait_s))
        try:
            if await sink.get_run(job.thread, job.request.correlation_id) is None:
                continue  # and is not made now: the caller has been told that it was not
            accepted = await sink.accept_run(job.thread, job.request)
            if accepted.fresh:
                await host.start(job)
        except UnavailableError as error:
            _log.debug("run %s was not started yet: %s", job.request.correlation_id, error)
        except StreamSinkError as error:
            _log.warning("run %s was not started: %s", job.request.correlation_id, type(error).__name__)
            return
        else:
            return
