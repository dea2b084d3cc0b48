"""The side of the twin that clients connect to: the gateway, with implicit hubs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.backends.gateway.admission import Admission
from streamsink.backends.gateway.app import GatewayApp
from streamsink.backends.gateway.connection_tokens import InProcessConnectionTokens
from streamsink.backends.gateway.sockets import Sockets

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from streamsink.backends.gateway.delivery import GatewayBounds
    from streamsink.backends.signalr.twin.hubs import Hubs
    from streamsink.backends.signalr.twin.tokens import ServiceTokens

__all__ = ["Clients"]


class Clients:
    """The gateway's application and its raw sockets.

    Args:
        hubs: those that clients connect to.
        tokens: verify what they show.
        bounds: what it holds at most, and for how long.
        monotonic: seconds, never going back.

    Attributes:
        app: serves ``/client`` and below.
    """

    def __init__(
        self, hubs: Hubs, *, tokens: ServiceTokens, bounds: GatewayBounds, monotonic: Callable[[], float]
    ) -> None:
        admission = Admission(hubs.get, access_tokens=tokens, allow_origin=_everywhere)
        connection_tokens = InProcessConnectionTokens(
            clock=monotonic, life_s=bounds.negotiated_s, max_waiting=bounds.max_waiting_connections
        )
        self.app: GatewayApp = GatewayApp(
            admission,
            connection_tokens=connection_tokens,
            limits=bounds.connection,
            max_buffered_bytes=bounds.max_buffered_bytes,
            close_s=bounds.close_s,
            clock=monotonic,
        )
        self._sockets = Sockets(
            admission,
            claim=self.app.claim,
            release=connection_tokens.release,
            limits=bounds.connection,
            max_buffered_bytes=bounds.max_buffered_bytes,
            close_s=bounds.close_s,
            clock=monotonic,
        )

    def socket_protocol(self, on_lost: Callable[[asyncio.Protocol], None]) -> asyncio.Protocol:
        """The protocol of a WebSocket that is being opened; ``on_lost`` is called with it when it is over."""
        return self._sockets.protocol(on_lost)

    def drain(self) -> None:
        """Ask every client to reconnect, and refuse new ones."""
        self.app.drain()
        self._sockets.drain()

    async def aclose(self) -> None:
        """Drain, and wait until every connection is over."""
        self.drain()
        await self.app.aclose()
        await self._sockets.aclose()


def _everywhere(origin: str, headers: Mapping[str, str]) -> bool:
    """The service is another site to every page; tokens say who may connect."""
    return True
