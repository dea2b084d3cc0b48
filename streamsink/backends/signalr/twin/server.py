"""The twin's own server: uvicorn in this event loop, whose connections can be broken."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from streamsink.backends.gateway.local_server import listening

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import AsyncIterator, Callable

    from streamsink.backends.gateway.http import Scope
    from streamsink.backends.gateway.session import Receive

__all__ = ["break_connection", "serving"]

_BREAK: Final = "streamsink.break"
_GRACE_S: Final = 1


@asynccontextmanager
async def serving(
    app: Any, listener: socket.socket, websockets: Callable[[Callable[[asyncio.Protocol], None]], asyncio.Protocol]
) -> AsyncIterator[None]:
    """Serve an ASGI application while inside.

    Args:
        app: without a lifespan.
        listener: listens.
        websockets: the protocol of each WebSocket upgrade, told whom to tell when it is over.

    Raises:
        TimeoutError: it did not start or stop in time.
        RuntimeError: it could not start.
    """

    def upgrade(*, server_state: Any, **_: Any) -> asyncio.Protocol:
        protocol = websockets(server_state.connections.discard)
        server_state.connections.add(protocol)  # uvicorn ends it by ``shutdown()``, and waits for it
        return protocol

    config = uvicorn.Config(
        app,
        http=_Http,
        ws=cast("Any", upgrade),
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    async with listening(config, listener):
        yield


async def break_connection(scope: Scope, receive: Receive) -> None:
    """Break the connection that a request came on; returns when it is gone.

    Raises:
        RuntimeError: it came through another server.
    """
    found: Callable[[], None] | None = scope.get("extensions", {}).get(_BREAK)
    if found is None:
        raise RuntimeError("connections can be broken only under the twin's own server")
    found()
    while (await receive())["type"] != "http.disconnect":
        pass


class _Http(H11Protocol):
    """Gives the application a way to break the connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        inner: Any = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            extensions = {**scope.get("extensions", {}), _BREAK: self.transport.abort}
            await inner({**scope, "extensions": extensions}, receive, send)

        self.app = app
