"""uvicorn in an event loop that somebody else runs: that of a test, or the twin's."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

__all__ = ["listening"]

_START_S: Final = 10.0
_STOP_S: Final = 10.0


@asynccontextmanager
async def listening(config: uvicorn.Config, listener: socket.socket) -> AsyncIterator[None]:
    """Serve while inside; leaving ends every connection, in the time that ``timeout_graceful_shutdown`` gives them.

    Raises:
        TimeoutError: it did not start or stop in time.
        RuntimeError: it could not start.
    """
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="local server")
    try:
        async with asyncio.timeout(_START_S):
            await server.ready(task)
        yield
    finally:
        server.should_exit = True
        async with asyncio.timeout(_STOP_S):
            await task


class _Server(uvicorn.Server):
    """Leaves the signals, and the end of the process, to whoever runs the loop; says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._started = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit as error:  # it would end everything else in this loop, too
            raise RuntimeError("the application did not start; the server has said why") from error
        self._started.set()

    def capture_signals(self) -> Any:
        return nullcontext()

    async def ready(self, task: asyncio.Task[None]) -> None:
        """Return when it listens; raise what ``task`` raised when it will not."""
        waiting = asyncio.create_task(self._started.wait())
        await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
            raise RuntimeError("the server ended while it was starting; it has said why")
