"""A real server on a free loopback port, in the test's own process and loop."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["serving"]

_START_S: Final = 10.0
_STOP_S: Final = 10.0


@asynccontextmanager
async def serving(
    app: Any, *, lifespan: bool = False, grace_s: int = 1, ws: type[asyncio.Protocol] | str = "websockets-sansio"
) -> AsyncIterator[str]:
    """Serve an ASGI application; gives its URL.

    Args:
        app: the application.
        lifespan: whether it has one, to be run.
        grace_s: seconds for open responses, when leaving.
        ws: what speaks WebSockets, for example :func:`streamsink.hosts.sockets.websocket_protocol`.

    Raises:
        TimeoutError: it did not start or stop in time.
    """
    config = uvicorn.Config(
        app,
        lifespan="on" if lifespan else "off",
        log_level="warning",
        access_log=False,
        ws=cast(Any, ws),
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=grace_s,
    )
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]), name="test server")
        try:
            async with asyncio.timeout(_START_S):
                await server.ready(task)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            async with asyncio.timeout(_STOP_S):
                await task


class _Server(uvicorn.Server):
    """Leaves the signals to the test runner, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._started = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
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
            raise RuntimeError("the server ended while it was starting")
