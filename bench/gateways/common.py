"""What the Python gateways share: the loop, a free port, and saying where they are."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import sys
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop

from streamsink.hosts.garbage import spare_what_stays

if TYPE_CHECKING:
    from collections.abc import Coroutine


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a gateway on uvloop, as uvicorn does where it is installed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def say(**ports: int) -> None:
    """Tell the bench where this gateway listens. Garbage is collected as ``serve`` has it, for all in Python."""
    spare_what_stays()
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()


async def serve_uvicorn(app: Any, *, ws: Any = "websockets-sansio", **ports: int) -> None:
    """Serve an ASGI application, quietly, until SIGTERM."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    say(port=listener.getsockname()[1], **ports)
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_level="error",
        access_log=False,
        ws=ws,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        timeout_graceful_shutdown=1,
        backlog=4096,
    )
    await uvicorn.Server(config).serve(sockets=[listener])
