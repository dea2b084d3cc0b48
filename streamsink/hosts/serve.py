"""One process that serves one of our ASGI applications with uvicorn."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import uvicorn

from streamsink.hosts.garbage import spare_what_stays
from streamsink.hosts.listening import BACKLOG, listen, url_of
from streamsink.hosts.sockets import websocket_protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from streamsink.hosts.shell import Shell

__all__ = ["serve", "serve_on"]

# Live event streams end only with their connection; past this they are cut.
_GRACE_S: Final = 3
_START_FAILED: Final = 3
# Held by the server before the gateway sees it; the gateway itself allows half of it.
_MAX_CLIENT_MESSAGE_BYTES: Final = 65_536


def serve(app: Shell, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, then drain.

    Args:
        port: 0 for a free one.
        announce: called with the URL when the port is open.

    Raises:
        OSError: the address cannot be had.
        SystemExit: the application could not start; the server has said why.
    """
    with listen(host, port) as listener:
        serve_on(listener, app, on_started=lambda: announce(url_of(host, listener)))


def serve_on(listener: socket.socket, app: Shell, *, on_started: Callable[[], None]) -> None:
    """The same on a socket that listens already.

    Args:
        on_started: called in the event loop once requests are answered.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        ws=websocket_protocol(app.sockets),
        ws_per_message_deflate=False,
        ws_max_size=_MAX_CLIENT_MESSAGE_BYTES,
        timeout_graceful_shutdown=_GRACE_S,
        backlog=BACKLOG,
    )
    server = _Server(config, app, on_started)
    with suppress(KeyboardInterrupt):  # uvicorn raises the signal again, once it has stopped
        server.run(sockets=[listener])
    if not server.started:
        sys.exit(_START_FAILED)  # it has said why; newer versions of uvicorn exit by themselves


class _Server(uvicorn.Server):
    """Says when it listens, and drains the app before it closes the sockets."""

    def __init__(self, config: uvicorn.Config, app: Shell, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._app = app
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            spare_what_stays()
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._app.drain()
        await super().shutdown(sockets)
