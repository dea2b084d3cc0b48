"""Delivery by a process that has no clients itself: to the gateways that have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamsink.backends.gateway.negotiate import client_url
from streamsink.backends.redis.letters import Join, Leave
from streamsink.backends.redis.message import DELETED, encode
from streamsink.backends.redis.nodes import Nodes
from streamsink.backends.redis.scripts import Script
from streamsink.core.delivery import ConnectInfo, Delivery
from streamsink.core.errors import ConnectionGoneError
from streamsink.core.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.backends.gateway.tokens import AccessTokens
    from streamsink.backends.redis.channels import Channels
    from streamsink.backends.redis.connection_tokens import SignedConnectionTokens
    from streamsink.backends.redis.keys import Keys
    from streamsink.backends.redis.nodes import Local
    from streamsink.backends.redis.store import Store
    from streamsink.core.events import Event
    from streamsink.core.identity import User

__all__ = ["RemoteDelivery"]


_PUBLISH: Final = Script.of("return redis.call('SPUBLISH', KEYS[1], ARGV[1])")


class RemoteDelivery(Delivery):
    """Publishes to the gateways, and asks the node that has a connection to let it join.

    Args:
        store: runs commands; closed by who made it.
        keys: names of keys and channels.
        subscriber: hears the nodes' answers; closed with this delivery.
        node_id: this process's among those that share the Redis, and no other's.
        connection_tokens: know which node has which connection.
        access_tokens: let clients in.
        hub: the name of the hub.
        gateway_url: where the gateways are; None: where this host is.
        local: the connections of this node; None: it has none.
    """

    def __init__(
        self,
        store: Store,
        keys: Keys,
        subscriber: Channels,
        *,
        node_id: str,
        connection_tokens: SignedConnectionTokens,
        access_tokens: AccessTokens,
        hub: str,
        gateway_url: str | None = None,
        local: Local | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self._store = store
        self._keys = keys
        self._subscriber = subscriber
        self._runtime = runtime or Runtime()
        self._nodes = Nodes(
            store, subscriber, keys, node_id=node_id, local=local or _NoConnections(), runtime=self._runtime
        )
        self._is_listening = False
        self._connection_tokens = connection_tokens
        self._access_tokens = access_tokens
        self._hub_name = hub
        self._gateway_url = gateway_url

    async def deliver(self, thread: str, events: Sequence[Event]) -> None:
        if events:
            await self._publish(thread, encode(events))

    async def dissolve(self, thread: str) -> None:
        await self._publish(thread, DELETED)

    async def _publish(self, thread: str, payload: bytes) -> None:
        await self._store.run(_PUBLISH, [self._keys.channel(thread)], [payload])

    async def listen(self) -> None:
        """Be a node that others can answer, and ask. Again is no error.

        Raises:
            UnavailableError: it cannot be one now.
        """
        if not self._is_listening:
            await self._nodes.start()
            self._is_listening = True

    async def join(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        node_id = await self._connection_tokens.node_of(connection_id)
        if node_id is None:
            raise ConnectionGoneError("there is no such connection")
        await self.listen()
        await self._nodes.ask(node_id, Join(thread, connection_id, user_id))

    async def leave(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        node_id = await self._connection_tokens.node_of(connection_id)
        if node_id is None:
            return
        await self.listen()
        try:
            await self._nodes.ask(node_id, Leave(thread, connection_id, user_id))
        except ConnectionGoneError:  # with its node
            return

    async def connect_info(self, user: User, base_url: str) -> ConnectInfo:
        base_url = self._gateway_url or base_url
        token = self._access_tokens.mint(user.id, base_url=base_url, hub=self._hub_name)
        return ConnectInfo(client_url(base_url, self._hub_name), token)

    async def check(self) -> None:
        await self.listen()
        await self._subscriber.check()

    async def aclose(self) -> None:
        await self._nodes.aclose()
        await self._subscriber.aclose()


class _NoConnections:
    async def join(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        raise ConnectionGoneError("this node has no connections")

    async def leave(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        raise ConnectionGoneError("this node has no connections")

    async def close(self, connection_id: str, error: str | None) -> None:
        raise ConnectionGoneError("this node has no connections")
