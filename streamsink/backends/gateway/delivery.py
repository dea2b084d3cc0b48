"""Delivery through this process's own gateway."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamsink.backends.gateway.admission import Admission, AllowOrigin, same_host
from streamsink.backends.gateway.app import GatewayApp
from streamsink.backends.gateway.connection import Limits
from streamsink.backends.gateway.connection_tokens import ConnectionTokens, InProcessConnectionTokens, new_id
from streamsink.backends.gateway.hub import Hub
from streamsink.backends.gateway.negotiate import EVERY_TRANSPORT, TransportOffer, client_url, hub_name
from streamsink.backends.gateway.sockets import ROUTES, Sockets
from streamsink.backends.gateway.tokens import AccessTokens
from streamsink.core.delivery import (
    ASGIApp,
    ConnectInfo,
    Delivery,
    ListsMembers,
    ServesClients,
    ServesSockets,
    Subscribes,
)
from streamsink.core.errors import UnavailableError
from streamsink.core.measures import Measures

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from streamsink.core.events import Event
    from streamsink.core.identity import User

__all__ = ["GatewayBounds", "GatewayDelivery"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayBounds:
    """What a gateway holds at most, and for how long.

    Args:
        connection: of each connection.
        max_buffered_bytes: unsent, per connection.
        max_followed_events: waiting, per follower in this process.
        max_waiting_connections: negotiated and not yet connected.
        negotiated_s: from negotiate to connect.
        close_s: for a client to take a connection's end.
        access_token_s: the life of an access token.
    """

    connection: Limits = field(default_factory=Limits)
    max_buffered_bytes: int = 1_048_576
    max_followed_events: int = 1_000
    max_waiting_connections: int = 10_000
    negotiated_s: float = 15.0
    close_s: float = 5.0
    access_token_s: int = 3600


class GatewayDelivery(Delivery, ServesClients, ServesSockets, Subscribes, ListsMembers, Measures):
    """A hub, the application that clients reach it through, and the tokens that let them in.

    Args:
        keys: sign and verify access tokens; the first signs. At least 32 bytes each.
        hub: the name of the hub.
        base_urls: those under which clients reach this host; empty: whatever host and prefix they ask for.
        allow_origin: whether pages of this origin may connect, given the request's headers in lower case.
        bounds: what it holds at most.
        transports: offered to clients, in order of preference. Only WebSockets need no sticky routing where
            several processes serve clients.
        connection_tokens: None: those of this process.
        on_empty: called with the name of a group that nobody is left in.
        clock: seconds since 1970, for tokens.
        monotonic: seconds, never going back, for everything else.
        make_id: a fresh unguessable id.

    Raises:
        SettingsError: no key, or a short one.
        InvalidRequestError: not a hub name.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        *,
        hub: str = "streamsink",
        base_urls: Collection[str] = (),
        allow_origin: AllowOrigin = same_host,
        bounds: GatewayBounds | None = None,
        transports: Sequence[TransportOffer] = EVERY_TRANSPORT,
        connection_tokens: ConnectionTokens | None = None,
        on_empty: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        bounds = bounds or GatewayBounds()
        self._hub_name = hub_name([hub])
        self._access_tokens = AccessTokens(keys, clock=clock, lifetime_s=bounds.access_token_s, base_urls=base_urls)
        self.hub: Hub = Hub(
            max_followed_events=bounds.max_followed_events,
            on_empty=on_empty,
        )
        admission = Admission(self._find_hub, access_tokens=self._access_tokens, allow_origin=allow_origin)
        if connection_tokens is None:
            connection_tokens = InProcessConnectionTokens(
                clock=monotonic,
                make_id=make_id,
                life_s=bounds.negotiated_s,
                max_waiting=bounds.max_waiting_connections,
            )
        self._app = GatewayApp(
            admission,
            connection_tokens=connection_tokens,
            transports=transports,
            limits=bounds.connection,
            max_buffered_bytes=bounds.max_buffered_bytes,
            close_s=bounds.close_s,
            clock=monotonic,
        )
        self._sockets = Sockets(
            admission,
            claim=self._app.claim,
            release=connection_tokens.release,
            limits=bounds.connection,
            max_buffered_bytes=bounds.max_buffered_bytes,
            close_s=bounds.close_s,
            clock=monotonic,
        )
        self._is_closed = False

    def _find_hub(self, name: str) -> Hub | None:
        return self.hub if name == self._hub_name else None

    @property
    def client_app(self) -> ASGIApp:
        """The application for ``/client`` and below; it may also be mounted at ``/client`` itself."""
        return self._app

    def takes_socket(self, path: str) -> bool:
        return path in ROUTES

    def socket_protocol(self, on_lost: Callable[[asyncio.Protocol], None]) -> asyncio.Protocol:
        return self._sockets.protocol(on_lost)

    async def deliver(self, thread: str, events: Sequence[Event]) -> None:
        self._check_open()
        if events:
            self.hub.publish(thread, events)

    async def join(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        self._check_open()
        self.hub.join(thread, connection_id, user_id)

    async def leave(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        self.hub.leave(thread, connection_id, user_id)

    async def dissolve(self, thread: str) -> None:
        self.hub.dissolve(thread)

    async def members(self, thread: str) -> list[str]:
        return self.hub.members(thread)

    def subscribe(self, thread: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        return self.hub.subscribe(thread)

    async def connect_info(self, user: User, base_url: str) -> ConnectInfo:
        token = self._access_tokens.mint(user.id, base_url=base_url, hub=self._hub_name)
        return ConnectInfo(client_url(base_url, self._hub_name), token)

    async def check(self) -> None:
        if self._is_closed or self.hub.is_draining:
            raise UnavailableError("the gateway is going away")

    def measure(self) -> Mapping[str, int]:
        """Readers that were too slow."""
        return {"slow_readers": self.hub.slow_readers}

    def levels(self) -> Mapping[str, int]:
        """Connections."""
        return {"connections": len(self.hub)}

    async def drain(self) -> None:
        await self.hub.drain()
        self._app.drain()
        self._sockets.drain()

    async def aclose(self) -> None:
        self._is_closed = True
        await self.drain()
        await self._app.aclose()
        await self._sockets.aclose()

    def _check_open(self) -> None:
        if self._is_closed:
            raise UnavailableError("the gateway is closed")
