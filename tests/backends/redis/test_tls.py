"""TLS with real servers: one, one that a sentinel watches, a cluster. Both sides show certificates."""

from __future__ import annotations

from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from redis.crc import key_slot

from streamsink.backends.redis.servers import servers_of
from streamsink.core.errors import UnavailableError
from streamsink.testing.contract import CONTRACT, Check
from streamsink.testing.contract_delivery import a_join_before_the_first_event_misses_nothing
from streamsink.testing.valkey import ValkeyServer, free_port

from .certificates import make_certificate
from .clusters import ClusterServer, LocalCluster, local_cluster, until
from .scripted_server import Ear
from .subjects import two_nodes
from .support import SET, in_third

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from streamsink.backends.redis.channels import Channels
    from streamsink.backends.redis.store import Store

pytestmark = pytest.mark.service

UNTRUSTED = r"TLS with Redis failed \(CERTIFICATE_VERIFY_FAILED\)"
SENTINEL = """
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel monitor main localhost {port} 1
"""


class Encryption:
    """One certificate, of ``localhost``, which servers and clients show and trust."""

    def __init__(self, certificate: Path) -> None:
        self._certificate = certificate
        self.query = "&".join(f"ssl_{name}={certificate}" for name in ("ca_certs", "certfile", "keyfile"))

    def options(self, port: int) -> tuple[str, ...]:
        """Of a server that listens there, besides its port in the clear, for administration."""
        files = [word for name in ("cert", "key", "ca-cert") for word in (f"--tls-{name}-file", str(self._certificate))]
        return "--tls-port", str(port), "--tls-replication", "yes", *files


class EncryptedServer(ClusterServer):
    """One of a cluster whose servers also trust each other by certificate, and announce a name."""

    def __init__(self, encryption: Encryption) -> None:
        self.tls_port = free_port()
        announced = ("--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname")
        super().__init__("--tls-cluster", "yes", *announced, *encryption.options(self.tls_port))


class EncryptedCluster:
    """A cluster, as clients reach it."""

    def __init__(self, cluster: LocalCluster, encryption: Encryption) -> None:
        seed = cluster.servers[0]
        assert isinstance(seed, EncryptedServer)
        self.cluster = cluster
        self.url = f"rediss+cluster://localhost:{seed.tls_port}?{encryption.query}"

    async def announce(self, kind: str) -> None:
        """``ip`` or ``hostname``."""
        for server in self.cluster.servers:
            await server.tell("CONFIG", "SET", "cluster-preferred-endpoint-type", kind)

    async def is_named(self) -> bool:
        """Whether each server knows all the names."""
        told = [await server.tell("CLUSTER", "SLOTS") for server in self.cluster.servers]
        return {each[0] for slots in told for _, _, *servers in slots for each in servers} == {b"localhost"}


@pytest.fixture(scope="module")
def encryption(tmp_path_factory: pytest.TempPathFactory) -> Encryption:
    return Encryption(make_certificate(tmp_path_factory.mktemp("tls") / "server.pem"))


@pytest.fixture(scope="module")
def single(encryption: Encryption) -> Iterator[str]:
    port = free_port()
    with ValkeyServer(*encryption.options(port)):
        yield f"rediss://localhost:{port}/0?{encryption.query}"


@pytest.fixture(scope="module")
def watched(encryption: Encryption) -> Iterator[str]:
    master, sentinel = free_port(), free_port()
    with ExitStack() as stack:
        stack.enter_context(ValkeyServer(*encryption.options(master)))
        config = SENTINEL.format(port=master)
        stack.enter_context(ValkeyServer("--sentinel", *encryption.options(sentinel), config=config))
        yield f"rediss+sentinel://localhost:{sentinel}/main?{encryption.query}"


@pytest.fixture(scope="module")
def cluster(encryption: Encryption) -> Iterator[EncryptedCluster]:
    with local_cluster(partial(EncryptedServer, encryption)) as cluster:
        yield EncryptedCluster(cluster, encryption)


async def test_one_server(single: str) -> None:
    await a_join_before_the_first_event_misses_nothing(partial(two_nodes, single))


async def test_a_server_that_a_sentinel_watches(watched: str) -> None:
    await a_join_before_the_first_event_misses_nothing(partial(two_nodes, watched))


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
async def test_a_cluster(check: Check, cluster: EncryptedCluster) -> None:
    await until(cluster.is_named)
    await check(partial(two_nodes, cluster.url))


@asynccontextmanager
async def parts_of(url: str) -> AsyncIterator[tuple[Store, Channels]]:
    servers = servers_of(url, timeout_s=2)
    store, subscriber = servers.store(), servers.subscriber(lambda: 0.5)
    try:
        yield store, subscriber
    finally:
        await subscriber.aclose()
        await store.aclose()


async def test_a_slot_that_moves_is_followed_in_tls(cluster: EncryptedCluster) -> None:
    key, ear = in_third(0, uuid4().hex).encode(), Ear()
    slot, (source, target, _) = key_slot(key), cluster.cluster.masters
    await until(cluster.is_named)
    async with parts_of(cluster.url) as (store, subscriber):
        await subscriber.listen(key, ear)
        await cluster.cluster.begin_to_move(slot, source, target)
        await cluster.cluster.end_move(slot, source, target)

        assert await store.run(SET, [key], ["1"]) == b"OK"

        await ear.gaps.get()
        assert await target.tell("GET", key) == b"1"
        assert await target.tell("SPUBLISH", key, b"x") == 1
        assert await ear.messages.get() == b"x"


async def test_addresses_that_no_certificate_names_are_refused(cluster: EncryptedCluster) -> None:
    await cluster.announce("ip")
    try:
        async with parts_of(cluster.url) as (store, _):
            with pytest.raises(UnavailableError, match=UNTRUSTED):
                await store.check(b"k")
        async with parts_of(f"{cluster.url}&ssl_check_hostname=false") as (store, subscriber):
            await store.check(b"k")
            await subscriber.listen(b"c", Ear())
    finally:
        await cluster.announce("hostname")


async def test_servers_that_are_not_trusted_are_refused(single: str, cluster: EncryptedCluster) -> None:
    for url in (single, cluster.url):
        async with parts_of(url.partition("?")[0]) as (store, subscriber):
            for call in (partial(store.check, b"k"), subscriber.check):
                with pytest.raises(UnavailableError, match=UNTRUSTED):
                    await call()


async def test_who_shows_no_certificate_is_refused(single: str, cluster: EncryptedCluster) -> None:
    for url in (single, cluster.url):
        async with parts_of(url.partition("&")[0]) as (_, subscriber):
            with pytest.raises(UnavailableError):  # TLS 1.3 tells the client after the handshake, or not at all
                await subscriber.check()
