"""A process without clients: what it asks of the nodes that have them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from streamsink.backends.redis.factory import redis_sink
from streamsink.backends.redis.letters import Close, Join, Leave
from streamsink.backends.redis.message import decode
from streamsink.backends.redis.remote import RemoteDelivery
from streamsink.backends.redis.settings import RedisSettings
from streamsink.core.errors import ConnectionGoneError
from streamsink.core.events import Record
from streamsink.core.runtime import Runtime
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings

from .support import fresh_prefix

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from streamsink.testing.valkey import ValkeyServer

pytestmark = pytest.mark.service

EVENT = Record("agentMessage", b'{"a":1}').at("1700", 1)


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.payload: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def on_messages(self, payloads: Sequence[bytes]) -> None:
        (payload,) = payloads
        self.payload.set_result(payload)

    def on_gap(self) -> None:
        raise AssertionError("nothing was lost")


@asynccontextmanager
async def remote_on(valkey: ValkeyServer) -> AsyncIterator[RemoteDelivery]:
    settings = Settings(secret=SecretRing.parse(f"k1:{'s' * 48}"))
    own = RedisSettings(url=valkey.url, prefix=fresh_prefix())
    async with redis_sink(settings, own, Runtime(), has_gateway=False) as sink:
        delivery = sink.ability(RemoteDelivery)
        assert delivery is not None
        yield delivery


async def test_what_it_delivers_is_published(valkey: ValkeyServer) -> None:
    heard = Heard()
    async with remote_on(valkey) as remote, asyncio.timeout(5):
        await remote._subscriber.listen(remote._keys.channel("t"), heard)
        await remote.deliver("t", [])
        await remote.deliver("t", [EVENT])

        assert list(decode(await heard.payload)) == [EVENT]


async def test_connections_that_nobody_has_are_gone(valkey: ValkeyServer) -> None:
    async with remote_on(valkey) as remote:
        with pytest.raises(ConnectionGoneError):
            await remote.join("t", "nobody", user_id="ann")
        await remote.leave("t", "nobody", user_id="ann")


async def test_a_connection_whose_node_died_is_gone(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def node_of(_: str) -> str:
        return "a-dead-node"

    async with remote_on(valkey) as remote:
        monkeypatch.setattr(remote._connection_tokens, "node_of", node_of)
        with pytest.raises(ConnectionGoneError):
            await remote.join("t", "c1", user_id="ann")
        await remote.leave("t", "c1", user_id="ann")


@pytest.mark.parametrize("asked", [Join("t", "c1", "ann"), Leave("t", "c1", "ann"), Close("c1")])
async def test_it_has_no_connections_itself(valkey: ValkeyServer, asked: Join | Leave | Close) -> None:
    async with remote_on(valkey) as remote:
        with pytest.raises(ConnectionGoneError):
            await remote._nodes.ask(remote._nodes._node_id, asked)
