"""A master that sentinels watch: nodes follow the failover."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from streamsink.backends.redis.factory import redis_sink
from streamsink.backends.redis.servers import servers_of
from streamsink.backends.redis.settings import RedisSettings
from streamsink.backends.redis.single import Single
from streamsink.backends.redis.store import RedisStore
from streamsink.backends.redis.watched import Watched as WatchedServers
from streamsink.core.delivery import ServesClients
from streamsink.core.errors import SettingsError, UnavailableError
from streamsink.core.identity import User
from streamsink.core.runtime import Runtime
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings
from streamsink.testing.serving import serving
from streamsink.testing.signalr import signalr_client
from streamsink.testing.valkey import ValkeyServer, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.service

ANN = User(subject="ann")
CONFIG = """
sentinel monitor our%20service 127.0.0.1 {port} 1
sentinel down-after-milliseconds our%20service 300
sentinel failover-timeout our%20service 1000
"""


@dataclass
class Watched:
    """A master, its replica, and who watches them."""

    master: ValkeyServer
    replica: ValkeyServer
    sentinel: ValkeyServer

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/main"


@pytest.fixture
def watched() -> Iterator[Watched]:
    with ValkeyServer() as master, ValkeyServer("--replicaof", "127.0.0.1", str(master.port)) as replica:
        config = CONFIG.replace("our%20service", "main").format(port=master.port)
        with ValkeyServer("--sentinel", config=config) as sentinel:
            yield Watched(master, replica, sentinel)


@asynccontextmanager
async def until_a_replica_is_known(watched: Watched) -> AsyncIterator[None]:
    """The sentinel asks the master for its replicas every ten seconds, or at its start."""
    store = RedisStore(Single(f"redis://127.0.0.1:{watched.sentinel.port}", 5))
    async with asyncio.timeout(20):
        with store.mapped():
            while not await store.client.sentinel_slaves("main"):  # noqa: ASYNC110  it tells nobody
                await asyncio.sleep(0.1)
    await store.aclose()
    yield


async def test_runs_and_clients_survive_a_failover(watched: Watched) -> None:
    settings = Settings(secret=SecretRing.parse(f"k1:{'s' * 48}"))
    own = RedisSettings(url=watched.url, timeout_s=1)
    async with (
        until_a_replica_is_known(watched),
        redis_sink(settings, own, Runtime()) as node,
    ):
        clients = node.ability(ServesClients)
        assert clients is not None
        async with (
            serving(clients.client_app) as base,
            signalr_client(await node.connect_info(ANN, base)) as client,
        ):
            await node.join("t", client.connection_id, user_id=ANN.id)
            async with node.run("t", agent="a") as run:
                run.text("before, ")
                await client.until(1, target="agentMessage")
                watched.master.kill()
                run.text("after")
            await client.until(1, target="agentDone")
            placed = {(event.data["epoch"], event.data["seq"]): event for event in client.received}  # some come twice

    # What the replica had not got is said again in a later epoch, perhaps by a run that begins to count anew.
    newest = max(epoch for epoch, _ in placed)
    texts = [event.data["text"] for (epoch, _), event in sorted(placed.items(), key=lambda each: each[0])
             if epoch == newest and event.target == "agentMessage"]  # fmt: skip
    assert "".join(texts) == "before, after"
    assert len({epoch for epoch, _ in placed}) == 2


async def test_sentinels_that_know_nothing_are_said() -> None:
    servers = WatchedServers("redis+sentinel://127.0.0.1:1/main", 0.5)

    with pytest.raises(UnavailableError, match="no sentinel"):
        await servers.find()
    await servers.aclose()


async def test_sentinels_that_are_gone_are_passed_over(watched: Watched) -> None:
    """Refused at once, or with the machine, which answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        gone = f"127.0.0.1:{free_port()},127.0.0.1:{silent.getsockname()[1]}"
        servers = servers_of(watched.url.replace("://", f"://{gone},"), timeout_s=2)
        store, subscriber = servers.store(), servers.subscriber(lambda: 0.5)
        await store.check(b"ready")
        await subscriber.check()
        await subscriber.aclose()
        await store.aclose()


@pytest.mark.parametrize(
    "url",
    ["redis+sentinel://h", "redis+sentinel:///main", "redis+sentinel://h/main/x", "redis+sentinel://h:port/main",
     "redis+sentinel://h,,i/main"],
)  # fmt: skip
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="STREAM_REDIS_URL"):
        servers_of(url, timeout_s=1)


async def test_a_url_says_everything() -> None:
    url = "rediss+sentinel://ann:p%40ss@[::1]:1,two/our%20main/3?sentinel_password=s%26&ssl_check_hostname=false"
    servers = servers_of(url, timeout_s=1)

    assert isinstance(servers, WatchedServers)
    assert servers.database == 3
    assert servers._service == "our main"
    sentinels = servers._sentinel.sentinels
    places = [each.connection_pool.connection_kwargs for each in sentinels]
    assert [(place["host"], place["port"], place["password"]) for place in places] == [
        ("::1", 1, "s&"),
        ("two", 26_379, "s&"),
    ]
    options = servers.client().connection_pool.connection_kwargs
    assert (options["username"], options["password"], options["db"]) == ("ann", "p@ss", 3)
    endpoint = servers._endpoint
    assert (endpoint.username, endpoint.password) == ("ann", "p@ss")
    assert endpoint.tls is not None
    assert not endpoint.tls.check_hostname
    await servers.aclose()
