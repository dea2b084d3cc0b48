"""A cluster: each slot has a master, and masters come and go."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from streamsink.backends.redis.cluster_store import ClusterStore
from streamsink.backends.redis.cluster_subscriber import ClusterSubscriber
from streamsink.backends.redis.endpoint import Address, Endpoint, addresses
from streamsink.backends.redis.kinds import Servers
from streamsink.backends.redis.pubsub import connect
from streamsink.backends.redis.single import Single
from streamsink.backends.redis.topology import Topology
from streamsink.core.errors import SettingsError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamsink.backends.redis.channels import Channels
    from streamsink.backends.redis.pubsub import Reply
    from streamsink.backends.redis.store import Store

__all__ = ["Cluster"]

_KIND: Final = "+cluster"
_PORT: Final = 6379
_EXPECTED: Final = (
    "a URL such as `redis+cluster://user:password@host-1:6379,host-2:6379`, without a database; "
    "`rediss+cluster://` for TLS"
)


class Cluster(Servers):
    """Args:
    url: ``redis+cluster://user:password@host:port,host:port?…``; the hosts are some of it, to begin with.

    Raises:
        SettingsError: the URL says nothing.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        try:
            self._named = _Named.parse(url)
        except ValueError:
            raise SettingsError("STREAM_REDIS_URL", _EXPECTED) from None
        self.timeout_s = timeout_s
        self._endpoint = Endpoint.from_url(self._named.url_of(self._named.seeds[0]))
        self.topology: Topology = Topology(self._named.seeds, self._slots, timeout_s=timeout_s)

    def store(self) -> Store:
        return ClusterStore(self.topology, self.master, timeout_s=self.timeout_s)

    def subscriber(self, random: Callable[[], float]) -> Channels:
        return ClusterSubscriber(self.topology, self.endpoint_of, timeout_s=self.timeout_s, random=random)

    def endpoint_of(self, address: Address) -> Endpoint:
        """How to be let in there."""
        return replace(self._endpoint, host=address.host, port=address.port)

    def master(self, address: Address) -> Single:
        """The one there by itself."""
        return Single(self._named.url_of(address), self.timeout_s, endpoint=self.endpoint_of(address))

    async def _slots(self, address: Address) -> Reply:
        """What that server says to ``CLUSTER SLOTS``. It is asked seldom: no connection is kept for that."""
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(self.timeout_s / 2):
            connection = await connect(self.endpoint_of(address), {}, answer.set_result)
            try:
                connection.write([(b"CLUSTER", b"SLOTS")])
                await asyncio.wait({answer, connection.lost}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await connection.aclose()
        if not answer.done():
            raise UnavailableError(connection.reason)
        return answer.result()


@dataclass(frozen=True, slots=True)
class _Named:
    """What the URL of a cluster says."""

    scheme: str
    login: str
    seeds: list[Address]
    query: str

    @classmethod
    def parse(cls, url: str) -> _Named:
        parts = urlsplit(url)
        if parts.path not in ("", "/", "/0"):
            raise ValueError("a cluster has one database")
        login, at, hosts = parts.netloc.rpartition("@")
        return cls(parts.scheme.removesuffix(_KIND), login + at, addresses(hosts, _PORT), parts.query)

    def url_of(self, address: Address) -> str:
        """As redis-py reads it."""
        host = f"[{address.host}]" if ":" in address.host else address.host
        return urlunsplit((self.scheme, f"{self.login}{host}:{address.port}", "", self.query, ""))
