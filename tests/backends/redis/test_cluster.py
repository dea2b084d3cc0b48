"""A cluster: threads are where their slots are, and follow them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

import pytest
from redis.crc import key_slot

from streamsink.backends.redis.cluster import Cluster
from streamsink.backends.redis.cluster_subscriber import ClusterSubscriber
from streamsink.backends.redis.endpoint import Address
from streamsink.backends.redis.factory import redis_sink
from streamsink.backends.redis.keys import Keys
from streamsink.backends.redis.servers import servers_of
from streamsink.backends.redis.settings import RedisSettings
from streamsink.core.delivery import ServesClients
from streamsink.core.errors import SettingsError, UnavailableError
from streamsink.core.identity import User
from streamsink.core.runtime import Runtime
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings
from streamsink.testing.contract import CONTRACT, Check
from streamsink.testing.serving import serving
from streamsink.testing.signalr import SignalRClient, signalr_client

from .clusters import ClusterServer, LocalCluster, local_cluster, until
from .scripted_server import Ear
from .subjects import one_node, two_nodes
from .support import SET, in_third
from .test_acl import rules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from streamsink.backends.redis.sink import RedisSink
    from streamsink.backends.redis.store import Store
    from streamsink.testing.subject import Subject
    from streamsink.testing.valkey import ValkeyServer

MakeFrom: TypeAlias = "Callable[[str], AbstractAsyncContextManager[Subject]]"

pytestmark = pytest.mark.service

ANN = User(subject="ann")
PREFIX = "cluster"


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """For tests that leave every server as it was."""
    with local_cluster() as cluster:
        yield cluster


@pytest.mark.parametrize("make", [one_node, two_nodes], ids=lambda make: make.__name__)
@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
async def test_contract(check: Check, make: MakeFrom, cluster: LocalCluster) -> None:
    await check(partial(make, cluster.url))


@pytest.fixture
def breakable() -> Iterator[LocalCluster]:
    """For one test, which may lose what it has."""
    with local_cluster() as cluster:
        yield cluster


@pytest.fixture
async def shaken(cluster: LocalCluster) -> AsyncIterator[LocalCluster]:
    """Afterwards all of it runs as before."""
    yield cluster
    await cluster.restore()


@asynccontextmanager
async def node_of(url: str, *, prefix: str = PREFIX, timeout_s: float = 2) -> AsyncIterator[RedisSink]:
    settings = Settings(secret=SecretRing.parse(f"k1:{'s' * 48}"))
    async with redis_sink(settings, RedisSettings(url=url, prefix=prefix, timeout_s=timeout_s), Runtime()) as node:
        yield node


@asynccontextmanager
async def client_of(node: RedisSink, *threads: str) -> AsyncIterator[SignalRClient]:
    """One that looks at threads."""
    clients = node.ability(ServesClients)
    assert clients is not None
    async with serving(clients.client_app) as base, signalr_client(await node.connect_info(ANN, base)) as client:
        for thread in threads:
            await node.join(thread, client.connection_id, user_id=ANN.id)
        yield client


def said(client: SignalRClient, thread: str) -> str:
    """The text of the newest epoch of a thread: what was lost is said again in another one."""
    events = {
        (int(event.data["epoch"]), event.data["seq"]): event.data["text"]
        for event in client.received
        if event.target == "agentMessage" and event.data["conversationId"] == thread
    }
    newest = max(epoch for epoch, _ in events)
    return "".join(text for (epoch, _), text in sorted(events.items()) if epoch == newest)


def channel_in(third: int) -> bytes:
    return Keys(PREFIX).channel(in_third(third, uuid4().hex))


@asynccontextmanager
async def parts_of(cluster: LocalCluster, *, look_s: float = 0.2) -> AsyncIterator[tuple[Store, ClusterSubscriber]]:
    servers = Cluster(cluster.url, 2)
    store = servers.store()
    subscriber = ClusterSubscriber(servers.topology, servers.endpoint_of, timeout_s=2, look_s=look_s)
    try:
        yield store, subscriber
    finally:
        await subscriber.aclose()
        await store.aclose()


async def test_threads_are_on_all_masters(cluster: LocalCluster) -> None:
    threads = [in_third(third, "thread") for third in range(3)]
    async with node_of(cluster.url) as node:
        await node.check()
        async with client_of(node, *threads) as client:
            await asyncio.gather(*[node.publish(thread, [f"in {thread}"], message="hi") for thread in threads])
            await client.until(3, target="agentDone")
            assert [said(client, thread) for thread in threads] == [f"in {thread}" for thread in threads]
    for thread, master in zip(threads, cluster.masters, strict=True):
        assert await master.tell("EXISTS", Keys(PREFIX).stream(thread)) == 1


async def test_ready_is_when_each_master_can_be_written(cluster: LocalCluster) -> None:
    prefix = uuid4().hex
    async with node_of(cluster.url, prefix=prefix) as node:
        await node.check()
    assert [len(await master.tell("KEYS", f"{prefix}:ready:*")) for master in cluster.masters] == [1, 1, 1]


async def test_a_master_that_dies_is_replaced_under_a_run(breakable: LocalCluster) -> None:
    thread = in_third(2, "t")  # of the master that has a replica
    async with node_of(breakable.url) as node, client_of(node, thread) as client:
        async with node.run(thread, agent="a") as run:
            run.text("before, ")
            await client.until(1, target="agentMessage")
            breakable.masters[2].kill()
            run.text("after")
        await client.until(1, target="agentDone")
        assert said(client, thread) == "before, after"
        await until(lambda: succeeds(node.check()))


async def succeeds(call: Awaitable[None]) -> bool:
    try:
        await call
    except UnavailableError:
        return False
    return True


async def test_a_master_that_became_a_replica_is_left(shaken: LocalCluster) -> None:
    """It keeps those who subscribed to it, and goes on telling them everything."""
    ear, channel = Ear(), channel_in(2)
    async with parts_of(shaken) as (_, subscriber):
        await subscriber.listen(channel, ear)
        await shaken.replica.tell("CLUSTER", "FAILOVER", "TAKEOVER")

        await until(lambda: listens(shaken.replica, channel))
        await ear.gaps.get()

        # Who asks a node something must see that it listens.
        assert await shaken.replica.tell("SPUBLISH", channel, b"x") == 1
        assert await ear.messages.get() == b"x"
        # Newer Redis refuses SUNSUBSCRIBE at a replica (redis/redis#13640): the connection, which nobody needs, ends.
        await until(lambda: is_left(shaken.masters[2], channel))
        await subscriber.check()


async def listens(server: ClusterServer, channel: bytes) -> bool:
    return bool((await server.tell("PUBSUB", "SHARDNUMSUB", channel))[1])


async def is_left(server: ClusterServer, channel: bytes) -> bool:
    return not await listens(server, channel)


async def test_a_slot_that_moves_takes_its_clients_along(cluster: LocalCluster) -> None:
    thread = in_third(0, "moves")
    slot, (source, target, _) = key_slot(thread.encode()), cluster.masters
    async with node_of(cluster.url) as node, client_of(node, thread) as client:
        async with node.run(thread, agent="a") as run:
            run.text("before, ")
            await client.until(1, target="agentMessage")
            await cluster.move_slot(slot, source, target)
            run.text("after")
        await client.until(1, target="agentDone")
        assert said(client, thread) == "before, after"
        assert len({event.data["epoch"] for event in client.received}) == 2  # another server, another generation
        await node.publish(thread, ["More."])
        await client.until(2, target="agentDone")
        assert await target.tell("EXISTS", Keys(PREFIX).stream(thread)) == 1
        await node.check()


async def test_what_moves_is_waited_for(cluster: LocalCluster) -> None:
    key = in_third(1, "waits").encode()
    slot, (_, source, target) = key_slot(key), cluster.masters
    async with parts_of(cluster) as (store, _):
        await cluster.begin_to_move(slot, source, target)
        with pytest.raises(UnavailableError, match="being moved"):
            await store.run(SET, [key], ["1"])
        waiting = asyncio.ensure_future(store.run(SET, [key], ["2"]))
        await asyncio.wait({waiting}, timeout=0.1)
        assert not waiting.done()
        await cluster.end_move(slot, source, target)

        assert await waiting == b"OK"
        assert await target.tell("GET", key) == b"2"


async def test_a_subscription_that_waits_goes_along(shaken: LocalCluster) -> None:
    ear, channel = Ear(), channel_in(2)
    async with parts_of(shaken) as (store, subscriber):
        await store.run(SET, [channel + b"x"], ["1"])
        shaken.masters[2].pause()
        waiting = asyncio.ensure_future(subscriber.listen(channel, ear))
        await asyncio.wait({waiting}, timeout=0.1)
        assert not waiting.done()
        await shaken.replica.tell("CLUSTER", "FAILOVER", "TAKEOVER")

        await waiting

        assert await shaken.replica.tell("SPUBLISH", channel, b"x") == 1


async def test_a_master_that_does_not_answer_holds_up_its_own_threads_only(shaken: LocalCluster) -> None:
    keys = [in_third(third, "k").encode() for third in range(2)]
    async with parts_of(shaken) as (store, subscriber):
        await store.check(b"ready")
        await subscriber.listen(b"{%b}" % keys[1], Ear())
        shaken.masters[0].pause()
        held_up = asyncio.ensure_future(store.run(SET, [keys[0]], ["1"]))
        assert {await store.run(SET, [keys[1]], [n]) for n in range(10)} == {b"OK"}
        with pytest.raises(UnavailableError, match="in time"):
            await held_up


async def test_a_master_without_a_replica_is_missed(shaken: LocalCluster) -> None:
    async with node_of(shaken.url, timeout_s=1) as node:
        await node.check()
        shaken.masters[0].kill()
        with pytest.raises(UnavailableError, match=r"cannot be reached|without a master"):
            await node.check()
        shaken.masters[0].start()
        await until(lambda: succeeds(node.check()))


async def test_channels_are_left_and_connections_closed(cluster: LocalCluster) -> None:
    ear, other, channel = Ear(), Ear(), channel_in(1)
    async with parts_of(cluster, look_s=0.05) as (_, subscriber):
        states = [subscriber.is_connected]
        await asyncio.gather(*[subscriber.listen(channel, each) for each in (ear, other, ear)])
        assert [*states, subscriber.is_connected] == [False, True]
        subscriber.unlisten(channel, ear)
        subscriber.unlisten(channel, ear)
        assert await cluster.masters[1].tell("SPUBLISH", channel, b"x") == 1
        assert await other.messages.get() == b"x"
        assert ear.messages.empty()

        subscriber.unlisten(channel, other)

        await until(lambda: nobody_listens(cluster.masters[1]))
        await subscriber.listen(channel, ear)
        assert await cluster.masters[1].tell("SPUBLISH", channel, b"x") == 1


async def nobody_listens(server: ClusterServer) -> bool:
    return b"streamsink-subscriber" not in await server.tell("CLIENT", "LIST", "TYPE", "pubsub") and (
        b"streamsink-subscriber" not in await server.tell("CLIENT", "LIST", "TYPE", "normal")
    )


async def test_a_listener_that_is_taken_back_hears_nothing(shaken: LocalCluster) -> None:
    ear, channel = Ear(), channel_in(0)
    async with parts_of(shaken) as (store, subscriber):
        await store.check(b"ready")
        shaken.masters[0].pause()
        waiting = asyncio.ensure_future(subscriber.listen(channel, ear))
        await asyncio.wait({waiting}, timeout=0.1)
        subscriber.unlisten(channel, ear)
        with pytest.raises(UnavailableError, match="nobody wants"):
            await waiting
        waiting = asyncio.ensure_future(subscriber.listen(channel, ear))
        await asyncio.wait({waiting}, timeout=0.1)
        await subscriber.aclose()
        with pytest.raises(UnavailableError):
            await waiting
        with pytest.raises(UnavailableError, match="closed"):
            await subscriber.listen(channel, ear)


async def test_the_documented_rules_are_enough(cluster: LocalCluster) -> None:
    for server in cluster.servers:
        await server.tell(*rules(), "+cluster|slots")
    url = cluster.url.replace("://", "://streamsink:password@")
    async with (
        node_of(url, prefix="streamsink") as node,
        client_of(node, "t") as client,
        node_of(url, prefix="streamsink") as other,
    ):
        await node.check()
        await other.join("u", client.connection_id, user_id=ANN.id)
        await other.publish("u", ["hello"])
        await client.until(1, target="agentDone")


async def test_nobody_there_is_said() -> None:
    servers = servers_of("redis+cluster://ann:secret@127.0.0.1:1,127.0.0.1:2", timeout_s=1)
    store, subscriber = servers.store(), servers.subscriber(lambda: 0.5)
    for call in (store.run(SET, [b"k"], [""]), store.check(b"k"), subscriber.listen(b"c", Ear()), subscriber.check()):
        with pytest.raises(UnavailableError, match="cannot be reached"):
            await call
    await subscriber.aclose()
    await store.aclose()
    for call in (store.run(SET, [b"k"], [""]), store.check(b"k")):
        with pytest.raises(UnavailableError, match="closed"):
            await call


async def test_one_server_is_no_cluster(valkey: ValkeyServer) -> None:
    store = servers_of(valkey.url.replace("redis:", "redis+cluster:"), timeout_s=1).store()
    with pytest.raises(UnavailableError, match="not one of a cluster"):
        await store.check(b"k")
    await store.aclose()


async def test_a_cluster_is_not_one_server(cluster: LocalCluster) -> None:
    key = in_third(1, "elsewhere").encode()
    store = servers_of(cluster.masters[0].url, timeout_s=1).store()
    with pytest.raises(UnavailableError, match=r"redis\+cluster"):
        await store.run(SET, [key], ["1"])
    await store.aclose()


@pytest.mark.parametrize(
    "url",
    ["redis+cluster://", "redis+cluster://h/1", "redis+cluster://h/main", "redis+cluster://h:port",
     "redis+cluster://h,,i", "rediss+cluster://h?ssl_ca_certs=/no/such/file"],
)  # fmt: skip
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="STREAM_REDIS_URL"):
        servers_of(url, timeout_s=1)


async def test_a_url_says_everything() -> None:
    servers = servers_of("rediss+cluster://ann:p%40ss@[::1]:1,two/0?ssl_check_hostname=false", timeout_s=1)

    assert isinstance(servers, Cluster)
    assert servers.database == 0
    endpoint = servers.endpoint_of(Address("::2", 3))
    assert (endpoint.host, endpoint.port, endpoint.username, endpoint.password) == ("::2", 3, "ann", "p@ss")
    assert endpoint.tls is not None
    assert not endpoint.tls.check_hostname
    options = servers.master(Address("::2", 3)).client().connection_pool.connection_kwargs
    assert (options["host"], options["port"], options["username"], options["password"]) == ("::2", 3, "ann", "p@ss")
