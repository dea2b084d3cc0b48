"""A gateway on a free loopback port, with an application negotiate in front of it."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import uvicorn

from streamsink.backends.gateway.delivery import GatewayBounds, GatewayDelivery
from streamsink.core.identity import User
from streamsink.hosts.sockets import websocket_protocol

from .support import KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamsink.core.delivery import ConnectInfo

ANN = User(subject="ann")

Path: TypeAlias = Literal["asgi", "sockets"]
PATHS: Final[tuple[Path, ...]] = ("asgi", "sockets")


class Server:
    """What runs, and where.

    Attributes:
        is_redirecting: whether the application's negotiate works.
        negotiations: how often it was asked.
    """

    def __init__(self, base_url: str, bounds: GatewayBounds) -> None:
        self.base_url = base_url
        self.delivery = GatewayDelivery([KEY], bounds=bounds)
        self.negotiations = 0

    @property
    def info(self) -> ConnectInfo:
        return self.delivery.connect_info(ANN, self.base_url)

    async def is_idle(self) -> None:
        """Return when no connection is left."""
        await self.delivery.client_app._is_idle.wait()
        await self.delivery._sockets._is_idle.wait()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/api/agent/negotiate":
            await self.delivery.client_app(scope, receive, send)
            return
        self.negotiations += 1
        info = self.info
        body = json.dumps({"url": info.url, "accessToken": info.access_token}).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _Uvicorn(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


@asynccontextmanager
async def serving(bounds: GatewayBounds | None = None, *, path: Path = "sockets") -> AsyncIterator[Server]:
    """A running server; leaving closes the gateway and then the server.

    Args:
        path: the way of clients' WebSockets.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}", bounds or GatewayBounds(close_s=0.5))
        config = uvicorn.Config(
            server,
            lifespan="off",
            log_level="critical",
            ws=websocket_protocol(lambda: server.delivery if path == "sockets" else None),
            ws_per_message_deflate=False,
        )
        running = _Uvicorn(config)
        task = asyncio.create_task(running.serve(sockets=[listener]))
        try:
            yield server
        finally:
            await server.delivery.aclose()
            running.should_exit = True
            await task
