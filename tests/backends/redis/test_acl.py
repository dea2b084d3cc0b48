"""The rules that docs/redis.md gives for a user of least privilege suffice for a conversation between two nodes."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from streamsink.backends.redis.factory import redis_sink
from streamsink.backends.redis.settings import RedisSettings
from streamsink.core.delivery import ServesClients
from streamsink.core.documents import KeepsDocuments
from streamsink.core.errors import ForbiddenError
from streamsink.core.identity import User
from streamsink.core.replay import read_replay
from streamsink.core.runtime import Runtime
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings
from streamsink.testing.serving import serving
from streamsink.testing.signalr import signalr_client
from streamsink.testing.valkey import ValkeyServer

from .support import open_store

pytestmark = pytest.mark.service

DOCS = Path(__file__).parents[3] / "docs" / "redis.md"
ANN = User(subject="ann")


def rules() -> list[str]:
    """Of every version."""
    found = re.search(r"^(ACL SETUSER streamsink .*)$", DOCS.read_text(), re.MULTILINE)
    assert found is not None
    return found[1].split()


async def test_the_documented_rules_are_enough() -> None:
    with ValkeyServer() as server:
        administrator = open_store(server)
        with administrator.mapped():
            await administrator.client.execute_command(*rules())  # type: ignore[no-untyped-call]
            with suppress(ResponseError):  # Redis 7.0 does not know it
                await administrator.client.execute_command("ACL", "SETUSER", "streamsink", "+client|setinfo")  # type: ignore[no-untyped-call]
        url = server.url.replace("://", "://streamsink:password@")
        settings = Settings(secret=SecretRing.parse(f"k1:{'s' * 48}"))
        own = RedisSettings(url=url)
        publisher = redis_sink(settings, own, Runtime(), has_gateway=False)
        node = redis_sink(settings, own, Runtime())
        async with publisher, node:
            for sink in (publisher, node):
                await sink.check()
            clients = node.ability(ServesClients)
            assert clients is not None
            async with (
                serving(clients.client_app) as base,
                signalr_client(await node.connect_info(ANN, base)) as client,
            ):
                await publisher.register("t", ANN.id)
                await publisher.join("t", client.connection_id, user_id=ANN.id)
                with pytest.raises(ForbiddenError):
                    await publisher.join("t", client.connection_id, user_id="somebody")
                await publisher.publish("t", ["Hello, ", "world"], message="hi")
                await client.until(1, target="agentDone")
                documents = publisher.ability(KeepsDocuments)
                assert documents is not None
                await documents.put_document("t", "a", b"{}")
                assert await documents.get_document("t", "a") == b"{}"
                assert (await read_replay(node, "t", "")).snapshot is not None
                assert await node.sweep() == []
                await publisher.cancel("t")
                await publisher.leave("t", client.connection_id, user_id=ANN.id)
                await publisher.delete("t")
        with administrator.mapped():
            assert await administrator.client.acl_log() == []  # nothing was refused
        await administrator.aclose()
