"""The twin's own server: uvicorn in this event loop, whose connections can be broken."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable

    from streamsink.backends.gateway.http import Scope
    from streamsink.backends.gateway.session import Receive

__all__ = ["break_connection", "serving"]

_BREAK: Final = "streamsink.break"
_START_S: Final = 10.0
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
        TimeoutError: it did not start in time.
    """

    def upgrade(*, server_state: Any, **_: Any) -> asyncio.Protocol:
        protocol = websockets(server_state.connections.discard)
        server_state.connections.add(protocol)  # uvicorn ends it by ``shutdown()``, and waits for it
        return protocol

    config = uvicorn.Config(
        app,
        http=_Http,
        ws=cast(Any, upgrade),
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="twin server")
    try:
        async with asyncio.timeout(_START_S):
            await server.ready(task)
        yield
    finally:
        server.should_exit = True
        await task


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


class _Server(uvicorn.Server):
    """Leaves the signals to whoever runs the loop, and says when it listens."""

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
