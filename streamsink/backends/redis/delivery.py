"""Delivery by a gateway of many: its clients are here, the others are a letter away, events come through Redis."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from streamsink.backends.redis.local import LocalConnections
from streamsink.backends.redis.remote import RemoteDelivery
from streamsink.core.delivery import ASGIApp, ServesClients, ServesSockets, Subscribes
from streamsink.core.measures import Measures
from streamsink.core.runtime import TaskOwner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from streamsink.backends.gateway.delivery import GatewayDelivery
    from streamsink.backends.redis.feeds import Feeds
    from streamsink.core.events import Event

__all__ = ["RedisDelivery"]

_log = logging.getLogger("streamsink")

# Redis knows of a connection for an hour after this.
_REFRESH_EVERY_S: Final = 1_200.0


class RedisDelivery(RemoteDelivery, ServesClients, ServesSockets, Subscribes, Measures):
    """A gateway node.

    Args:
        gateway: this node's; closed with this delivery.
        feeds: bring it what is published; closed with this delivery.
        rest, options: as for :class:`RemoteDelivery`.
    """

    def __init__(self, gateway: GatewayDelivery, feeds: Feeds, *rest: Any, **options: Any) -> None:
        self._local = LocalConnections(gateway, feeds)
        super().__init__(*rest, local=self._local, **options)
        self._gateway = gateway
        self._feeds = feeds
        self._tasks = TaskOwner()
        self._refreshing: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        """As :meth:`RemoteDelivery.listen`; to be done before any client is connected here."""
        await super().listen()
        if self._refreshing is None:
            self._refreshing = self._tasks.start(self._refresh(), name="streamsink redis claims")

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(self._runtime.jittered(_REFRESH_EVERY_S))
            try:
                await self._connection_tokens.refresh()
            except Exception as error:  # whatever it is: the claims of every connection here hang on this task
                _log.warning("connections were not refreshed, trying again later: %s", type(error).__name__)

    async def join(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        if connection_id in self._local:
            await self._local.join(thread, connection_id, user_id=user_id)
        else:
            await super().join(thread, connection_id, user_id=user_id)

    async def leave(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        if connection_id in self._local:
            await self._local.leave(thread, connection_id, user_id=user_id)
        else:
            await super().leave(thread, connection_id, user_id=user_id)

    async def dissolve(self, thread: str) -> None:
        await self._gateway.dissolve(thread)
        await super().dissolve(thread)

    def subscribe(self, thread: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        return self._subscribe(thread)

    @asynccontextmanager
    async def _subscribe(self, thread: str) -> AsyncIterator[AsyncIterator[Event]]:
        async with self._gateway.subscribe(thread) as follower:
            await self._feeds.open(thread)
            yield follower

    @property
    def client_app(self) -> ASGIApp:
        return self._gateway.client_app

    def takes_socket(self, path: str) -> bool:
        return self._gateway.takes_socket(path)

    def socket_protocol(self, on_lost: Callable[[asyncio.Protocol], None]) -> asyncio.Protocol:
        return self._gateway.socket_protocol(on_lost)

    def measure(self) -> Mapping[str, int]:
        """As of this node's gateway."""
        return self._gateway.measure()

    def levels(self) -> Mapping[str, int]:
        """As of this node's gateway."""
        return self._gateway.levels()

    async def check(self) -> None:
        await self._gateway.check()
        await super().check()

    async def drain(self) -> None:
        await self._gateway.drain()

    async def aclose(self) -> None:
        await self._gateway.aclose()
        await self._feeds.aclose()
        await self._tasks.aclose()
        await super().aclose()
