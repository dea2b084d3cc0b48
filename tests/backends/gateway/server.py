"""A gateway on a free loopback port, with an application negotiate in front of it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import uvicorn

from streamsink.backends.gateway.delivery import GatewayBounds, GatewayDelivery
from streamsink.backends.gateway.negotiate import client_url
from streamsink.core.delivery import ConnectInfo
from streamsink.core.identity import User
from streamsink.hosts.sockets import websocket_protocol

from .support import KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from streamsink.backends.gateway.connection_tokens import ConnectionTokens

ANN = User(subject="ann")
_HUB: Final = "streamsink"

Path: TypeAlias = Literal["asgi", "sockets"]
PATHS: Final[tuple[Path, ...]] = ("asgi", "sockets")


class Server:
    """What runs, and where.

    Attributes:
        negotiations: how often the application's negotiate was asked.
        requests: how often the gateway was.
        claims: how often a client tried to connect with a token of its own or a fresh one, whatever came of it.
    """

    def __init__(self, base_url: str, delivery: GatewayDelivery) -> None:
        self.base_url = base_url
        self.delivery = delivery
        self.negotiations = 0
        self.requests = 0
        self.claims = 0
        self._count_claims(delivery.client_app._tokens)

    def _count_claims(self, tokens: ConnectionTokens) -> None:
        claim = tokens.claim

        async def counted(token: str, *, hub: str, user_id: str | None) -> str:
            self.claims += 1
            return await claim(token, hub=hub, user_id=user_id)

        setattr(tokens, "claim", counted)  # noqa: B010  a method, to a type checker

    async def connected(self) -> None:
        """Return when there is a connection whose handshake is over."""
        async with asyncio.timeout(20):
            while not len(self.delivery.hub):  # noqa: ASYNC110  a hub tells nobody
                await asyncio.sleep(0.01)

    @property
    def info(self) -> ConnectInfo:
        token = self.delivery._access_tokens.mint(ANN.id, base_url=self.base_url, hub=_HUB)
        return ConnectInfo(client_url(self.base_url, _HUB), token)

    async def is_idle(self) -> None:
        """Return when no connection is left."""
        await self.delivery.client_app._sessions.idle()
        await self.delivery._sockets._is_idle.wait()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/api/agent/negotiate":
            self.requests += 1
            await self.delivery.client_app(scope, receive, send)
            return
        self.negotiations += 1
        info = self.info
        body = json.dumps({"url": info.url, "accessToken": info.access_token}).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the gateway and its server logged as a warning or worse."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.partition(".")[0] in ("streamsink", "uvicorn")
    ]


class _Uvicorn(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


@asynccontextmanager
async def serving(
    bounds: GatewayBounds | None = None, *, path: Path = "sockets", **options: Any
) -> AsyncIterator[Server]:
    """A running server; leaving closes the gateway and then the server.

    Args:
        bounds: of the gateway.
        path: the way of clients' WebSockets.
        options: further ones, as :class:`GatewayDelivery` takes them.
    """
    delivery = GatewayDelivery([KEY], bounds=bounds or GatewayBounds(close_s=0.5), **options)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}", delivery)
        # Its log goes where every test can read it; see complaints.
        config = uvicorn.Config(
            server,
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
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
