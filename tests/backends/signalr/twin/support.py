"""A caller of the REST API that shares no code with the twin: it reads the connection string and signs by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from streamsink.backends.gateway.transport import Transport
from streamsink.backends.signalr.twin import twin
from streamsink.testing.signalr import signalr_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from streamsink.backends.gateway.frame import Frame
    from streamsink.backends.signalr.twin import Twin
    from streamsink.testing.signalr import SignalRClient

VERSION = "2024-12-01"


class ManualClock:
    """A clock that stands still until it is turned."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def encoded(name: str) -> str:
    """A name as a segment of a path."""
    return quote(name, safe="")


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def sign(key: str, claims: Mapping[str, Any], **header: Any) -> str:
    """A JWT: RFC 7515 with HS256, from nothing but its parts."""
    head = _part(json.dumps({"alg": "HS256", "typ": "JWT", **header}).encode())
    body = _part(json.dumps(claims).encode())
    signed = f"{head}.{body}"
    return f"{signed}.{_part(hmac.digest(key.encode(), signed.encode(), hashlib.sha256))}"


class Nowhere(Transport):
    """A transport that nobody reads."""

    def write(self, frame: Frame) -> bool:
        raise AssertionError("nobody writes")

    def close(self, error: str | None = None, *, allow_reconnect: bool = False, discard: bool = False) -> None:
        """There is nothing to close."""


class Rest:
    """Calls of one service, as its connection string says."""

    def __init__(self, connection_string: str, http: httpx.AsyncClient) -> None:
        parts = dict(part.split("=", 1) for part in connection_string.split(";") if part)
        self.key = parts["AccessKey"]
        self.origin = f"{parts['Endpoint']}:{parts['Port']}"
        self._http = http

    async def ask(
        self,
        method: str,
        path: str,
        query: str | None = f"api-version={VERSION}",
        *,
        token: str | None = None,
        claims: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """A call; the token is for exactly the URL that is sent. With an empty one, without."""
        url = f"{self.origin}{path}"
        if token is None:
            token = sign(self.key, {"aud": url, "exp": time.time() + 60, **(claims or {})})
        headers = {**({"authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        return await self._http.request(method, f"{url}?{query}" if query else url, headers=headers, **options)

    async def send(self, path: str, *arguments: Any, query: str = "", target: str = "agentMessage") -> httpx.Response:
        """A send in the new shape, to what is below the hub ``chat``."""
        body = {"target": target, "arguments": list(arguments) or [{"text": "hi"}]}
        return await self.chat("POST", f"{path}:send", query=query, json=body)

    async def chat(self, method: str, path: str, *, query: str = "", **options: Any) -> httpx.Response:
        """A call in the new shape, below the hub ``chat``."""
        return await self.ask(method, f"/api/hubs/chat/{path}", f"api-version={VERSION}&{query}", **options)


class World:
    """A twin, a caller, and clients that are connected until the test ends."""

    def __init__(self, service: Twin, rest: Rest) -> None:
        self.twin = service
        self.rest = rest
        self.clients = AsyncExitStack()

    async def client(self, user: str | None = None, hub: str = "chat", *groups: str) -> SignalRClient:
        client = await self.clients.enter_async_context(signalr_client(self.twin.connect_info(hub, user)))
        for group in groups:
            self.twin.hub(hub).join(group, client.connection_id)
        return client


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[World]:
    async with twin(**options) as service, httpx.AsyncClient(timeout=10) as http:
        running = World(service, Rest(service.connection_string, http))
        async with running.clients:
            yield running


def said(client: SignalRClient) -> list[Any]:
    """What the client has received so far."""
    return [event.data for event in client.received]
