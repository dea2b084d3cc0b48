"""A real server on a free loopback port, in the test's own process and loop."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from streamsink.backends.gateway.local_server import listening

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

__all__ = ["serving"]


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
        RuntimeError: it could not start.
    """
    config = uvicorn.Config(
        app,
        lifespan="on" if lifespan else "off",
        log_level="warning",
        access_log=False,
        ws=cast("Any", ws),
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=grace_s,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with listening(config, listener):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
