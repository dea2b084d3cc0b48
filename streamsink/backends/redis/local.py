"""The connections that this node has: what other nodes, and its own host, may ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.core.errors import ConnectionGoneError, StreamSinkError

if TYPE_CHECKING:
    from streamsink.backends.gateway.delivery import GatewayDelivery
    from streamsink.backends.redis.feeds import Feeds

__all__ = ["LocalConnections"]

_GONE = "there is no such connection"


class LocalConnections:
    """A gateway whose groups are fed; see :class:`~streamsink.backends.redis.nodes.Local`."""

    def __init__(self, gateway: GatewayDelivery, feeds: Feeds) -> None:
        self._gateway = gateway
        self._feeds = feeds

    def __contains__(self, connection_id: object) -> bool:
        return connection_id in self._gateway.hub

    async def join(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        """See :meth:`Delivery.join`. In the hub first: it says when a feed is needed no more."""
        await self._gateway.join(thread, connection_id, user_id=user_id)
        try:
            await self._feeds.open(thread)
        except StreamSinkError:
            await self._gateway.leave(thread, connection_id, user_id=user_id)
            raise
        if connection_id not in self:  # it left meanwhile
            raise ConnectionGoneError(_GONE)

    async def leave(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        """See :meth:`Delivery.leave`."""
        await self._gateway.leave(thread, connection_id, user_id=user_id)

    async def close(self, connection_id: str, error: str | None) -> None:
        """End a connection.

        Raises:
            ConnectionGoneError: there is none.
        """
        if not self._gateway.hub.close(connection_id, error):
            raise ConnectionGoneError(_GONE)
