"""The ready ASGI host: one process, one port, uvicorn."""

from __future__ import annotations

import gc
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import uvicorn

from streamsink.hosts.asgi import StreamApp
from streamsink.hosts.sockets import websocket_protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent_framework import SupportsAgentRun

__all__ = ["serve"]

# Live event streams end only with their connection; past this they are cut.
_GRACE_S: Final = 3
_BACKLOG: Final = 2_048
_START_FAILED: Final = 3
# Held by the server before the gateway sees it; the gateway itself allows half of it.
_MAX_CLIENT_MESSAGE_BYTES: Final = 65_536


def serve(
    agents: Sequence[SupportsAgentRun] | Mapping[str, SupportsAgentRun],
    *,
    host: str,
    port: int,
    announce: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM, then drain.

    Args:
        port: 0 for a free one.
        announce: called with the URL when the port is open.
    """
    app = StreamApp(agents)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        ws=websocket_protocol(app.sockets),
        ws_per_message_deflate=False,
        ws_max_size=_MAX_CLIENT_MESSAGE_BYTES,
        timeout_graceful_shutdown=_GRACE_S,
        backlog=_BACKLOG,
    )
    with _listen(host, port) as listener:
        server = _Server(config, app, lambda: announce(_url(host, listener.getsockname()[1])))
        with suppress(KeyboardInterrupt):  # uvicorn raises the signal again, once it has stopped
            server.run(sockets=[listener])
    if not server.started:
        sys.exit(_START_FAILED)  # it has said why; newer versions of uvicorn exit by themselves


class _Server(uvicorn.Server):
    """Says when it listens, and drains the app before it closes the sockets."""

    def __init__(self, config: uvicorn.Config, app: StreamApp, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._app = app
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            # What is there now stays: a full collection would go through it each time the connections have grown by
            # a quarter, and the loop would stand still for that long.
            gc.collect()
            gc.freeze()
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._app.drain()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def _url(host: str, port: int) -> str:
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{port}"
