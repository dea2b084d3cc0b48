"""Connections to the masters of a cluster: made, counted, and closed when nobody needs them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.backends.redis.endpoint import Address, Endpoint
from streamsink.backends.redis.masters import Masters
from streamsink.backends.redis.topology import Topology
from streamsink.core.errors import UnavailableError

from .scripted_server import Ear, answering, usual
from .support import SLOTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ONE, OTHER = Address("127.0.0.1", 1), Address("127.0.0.1", 2)


class Cluster:
    """One master has all slots; ``asked`` is set when somebody wants to know."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.moved: list[tuple[Address, bytes, str]] = []
        self.topology = Topology([ONE], self._answer, timeout_s=1)
        self.masters = Masters(
            self.topology,
            lambda there: Endpoint(host=there.host, port=there.port),
            on_moved=lambda *told: self.moved.append(told),
            timeout_s=1,
            random=lambda: 0.0,
        )

    async def _answer(self, _: Address) -> Any:
        self.asked.set()
        return [[0, SLOTS - 1, [ONE.host.encode(), ONE.port, b"id"]]]


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    try:
        yield made
    finally:
        await made.masters.aclose()
        await made.topology.aclose()


async def test_each_address_has_one() -> None:
    async with cluster() as there:
        one, other = there.masters.at(ONE), there.masters.at(OTHER)
        other.needed += 1

        assert there.masters.at(ONE) is one
        assert there.masters.needed() == [other]


async def test_what_nobody_needs_is_closed_when_it_is_looked_at_again() -> None:
    async with cluster() as there:
        idle, again, needed = (there.masters.at(Address("127.0.0.1", port)) for port in (1, 2, 3))
        needed.needed += 1
        await there.masters.close_idle()
        assert there.masters.at(idle.address) is idle
        again.needed += 1
        await there.masters.close_idle()
        again.needed -= 1
        await there.masters.close_idle()

        assert [there.masters.at(each.address) is each for each in (idle, again, needed)] == [False, True, True]
        with pytest.raises(UnavailableError, match="closed"):
            await idle.subscriber.check()


async def test_who_refuses_a_channel_is_told() -> None:
    def moved(command: list[bytes]) -> bytes:
        return b"-MOVED 1 elsewhere:1\r\n" if command[0] == b"SSUBSCRIBE" else usual(command)

    async with answering(moved) as endpoint, cluster() as there:
        address = Address(endpoint.host, endpoint.port)
        with pytest.raises(UnavailableError):
            await there.masters.at(address).subscriber.listen(b"c", Ear())

        assert there.moved == [(address, b"c", "MOVED 1 elsewhere:1")]


async def test_a_connection_that_is_lost_makes_the_cluster_be_asked() -> None:
    async with cluster() as there:
        async with answering(usual) as endpoint:
            await there.masters.at(Address(endpoint.host, endpoint.port)).subscriber.listen(b"c", Ear())
            assert not there.asked.is_set()

        async with asyncio.timeout(5):
            await there.asked.wait()


async def test_closing_closes_all() -> None:
    async with cluster() as there:
        masters = [there.masters.at(each) for each in (ONE, OTHER)]
        await there.masters.aclose()

        for master in masters:
            with pytest.raises(UnavailableError, match="closed"):
                await master.subscriber.check()
