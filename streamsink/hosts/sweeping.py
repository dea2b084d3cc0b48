"""Ends what nobody reads and nobody executes any more."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from streamsink.core.errors import StreamSinkError
from streamsink.core.runtime import TaskOwner
from streamsink.hosts.failures import frames

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamsink.core.sink import StreamSink

__all__ = ["sweeping"]

_log = logging.getLogger("streamsink")

_SWEEP_EVERY_S: Final = 5.0


@asynccontextmanager
async def sweeping(sink: StreamSink) -> AsyncIterator[None]:
    """Sweep every few seconds while inside; a store that fails for a while does not end that."""
    sweeper = TaskOwner()
    sweeper.start(_sweep(sink), name="streamsink sweep")
    try:
        yield
    finally:
        await sweeper.aclose()


async def _sweep(sink: StreamSink) -> None:
    while True:
        await asyncio.sleep(sink.runtime.jittered(_SWEEP_EVERY_S))
        try:
            await sink.sweep()
        except StreamSinkError as error:
            _log.warning("sweeping failed, trying again: %s", type(error).__name__)
        except Exception as error:  # nobody would notice that nothing is ended any more
            _log.error("sweeping failed, trying again: %s", frames(error))
