"""A local Azure SignalR Service: the gateway, with the service's data-plane REST API in front."""

from __future__ import annotations

import secrets
import socket
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from streamsink.backends.gateway.delivery import GatewayBounds
from streamsink.backends.gateway.http import Reply, Request, Scope, with_cors
from streamsink.backends.gateway.negotiate import client_url, hub_name
from streamsink.backends.signalr.twin.clients import Clients
from streamsink.backends.signalr.twin.data_plane import DataPlane
from streamsink.backends.signalr.twin.faults import NEGOTIATE, Faults
from streamsink.backends.signalr.twin.hubs import Hubs, TwinHub
from streamsink.backends.signalr.twin.rest import RestApi, failure_reply
from streamsink.backends.signalr.twin.server import break_connection, serving
from streamsink.backends.signalr.twin.tokens import ServiceTokens
from streamsink.core.delivery import ConnectInfo

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Sequence

    from streamsink.backends.gateway.outbox import Send
    from streamsink.backends.gateway.session import Receive

__all__ = ["Twin", "twin"]

# Azure: the connect must follow negotiate within 5 s.
_BOUNDS: Final = GatewayBounds(negotiated_s=5.0, close_s=1.0)
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class Twin:
    """The service as an ASGI application; :func:`twin` also serves it.

    Args:
        url: where it is reached.
        keys: access keys of at least 32 characters, as the connection string has them; the first signs, all verify.
        faults: what goes wrong; None: nothing, until it is told to.
        close_reconnects: whether clients that REST calls close are told that they may come back, as Microsoft's
            emulator tells them; False: they are out.
        bounds: what clients' side holds at most, and for how long.
        clock: seconds since 1970, for tokens.
        monotonic: seconds, never going back, for everything else.

    Attributes:
        url: where it is reached.
        faults: misbehaviour on command.

    Raises:
        SettingsError: no key, or a short one.
    """

    def __init__(
        self,
        url: str,
        keys: Sequence[str],
        *,
        faults: Faults | None = None,
        close_reconnects: bool = True,
        bounds: GatewayBounds = _BOUNDS,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url: str = url.rstrip("/")
        self.faults: Faults = faults or Faults()
        self._keys = list(keys)
        self._tokens = ServiceTokens(keys, clock=clock, base_urls=_names(self.url))
        self._hubs = Hubs(clock=monotonic)
        self._clients = Clients(self._hubs, tokens=self._tokens, bounds=bounds, monotonic=monotonic)
        data_plane = DataPlane(
            self._hubs, mint=self._client_token, endpoint=self.url, close_reconnects=close_reconnects
        )
        self._rest = RestApi(data_plane, tokens=self._tokens, faults=self.faults)
        self.faults.attach(cut=self._cut, expire=self._tokens.expire_issued)

    @property
    def connection_string(self) -> str:
        """For our backend and for Microsoft's SDKs, with the first key."""
        return self.connection_string_with(self._keys[0])

    def connection_string_with(self, key: str) -> str:
        """The same with another key."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = "" if parts.port is None else f"Port={parts.port};"
        return f"Endpoint={parts.scheme}://{host};{port}AccessKey={key};Version=1.0;"

    def hub(self, name: str) -> TwinHub:
        """A hub as the service sees it; of an application ``a`` and a hub ``h`` it is ``a_h``.

        Raises:
            InvalidRequestError: it is no name.
        """
        return self._hubs.get(hub_name([name]))

    def connect_info(self, hub: str, user_id: str | None = None, *, lifetime_s: int = 3600) -> ConnectInfo:
        """Where a client of the hub connects, and a token for it; what an application's negotiate answers."""
        return ConnectInfo(client_url(self.url, hub), self._client_token(hub, user_id, lifetime_s))

    def rotate_key(self, key: str | None = None) -> str:
        """Make a key (None: a fresh one) the first; the one that was it stays good, others do not.

        Returns:
            the new connection string.

        Raises:
            SettingsError: it is too short.
        """
        key = key or new_key()
        self._tokens.rotate(key)
        self._keys = [key, self._keys[0]]
        return self.connection_string

    def drain(self) -> None:
        """Tell clients to reconnect; answer 503 to REST callers and to new clients."""
        self._rest.is_draining = True
        self._clients.drain()

    async def aclose(self) -> None:
        """Drain, and wait until every connection is over."""
        self.drain()
        await self._rest.aclose()
        await self._clients.aclose()

    def socket_protocol(self, on_lost: Callable[[asyncio.Protocol], None]) -> asyncio.Protocol:
        """The protocol of a WebSocket that a server of ours hands over; see :mod:`streamsink.hosts.sockets`."""
        return self._clients.socket_protocol(on_lost)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application; it has no lifespan."""
        path = scope["path"]
        if scope["type"] == "websocket" or path == "/client" or path.startswith("/client/"):
            await self._serve_client(scope, receive, send)
        else:
            await _reply(await self._rest.answer(scope, receive), scope, receive, send)

    async def _serve_client(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", "/client/negotiate"):
            plan = self.faults.draw(NEGOTIATE)
            if plan.delay_s:
                await self.faults.sleep(plan.delay_s)
            if plan.failure is not None:
                reply = failure_reply(plan.failure, is_old=False)
                reply = reply and with_cors(reply, Request.of(scope))
                await _reply(reply, scope, receive, send)
                return
        await self._clients.app(scope, receive, send)

    def _client_token(self, hub: str, user_id: str | None, lifetime_s: int) -> str:
        return self._tokens.mint(user_id, base_url=self.url, hub=hub, lifetime_s=lifetime_s)

    def _cut(self, choose: Callable[[Sequence[Any]], Sequence[Any]]) -> int:
        clients = [(hub, client.connection_id) for hub in self._hubs.all() for client in hub.clients()]
        chosen = choose(clients)
        for hub, connection_id in chosen:
            hub.sever(connection_id)
        return len(chosen)


@asynccontextmanager
async def twin(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    keys: Sequence[str] | None = None,
    endpoint: str | None = None,
    **options: Any,
) -> AsyncIterator[Twin]:
    """A running twin, in this process and event loop; leaving ends every connection.

    ::

        async with twin() as service:
            os.environ["AzureSignalRConnectionString"] = service.connection_string

    Args:
        host: to listen on.
        port: 0: a free one.
        keys: None: two fresh ones, as the service has them.
        endpoint: the URL under which others reach it, where that is not the address that it listens on.
        options: further ones of :class:`Twin`.

    Raises:
        OSError: the address cannot be had.
        SettingsError: a key is too short.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        url = endpoint or _url(host, listener.getsockname()[1])
        service = Twin(url, keys or (new_key(), new_key()), **options)
        async with serving(service, listener, service.socket_protocol):
            try:
                yield service
            finally:
                await service.aclose()


def new_key() -> str:
    """An access key."""
    return secrets.token_urlsafe(48)


def _url(host: str, port: int) -> str:
    """Where this machine reaches what listens on ``host``."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  an address is not bound here
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def _names(url: str) -> list[str]:
    """The URLs that tokens may be for: a loopback address has several names."""
    parts = urlsplit(url)
    if parts.hostname not in _LOOPBACK:
        return [url]
    return [f"{parts.scheme}://{f'[{name}]' if ':' in name else name}" for name in _LOOPBACK]


async def _reply(reply: Reply | None, scope: Scope, receive: Receive, send: Send) -> None:
    if reply is None:
        await break_connection(scope, receive)
    else:
        await reply.send(send)
