"""Channels of a cluster that is not what it says."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.backends.redis.cluster_subscriber import ClusterSubscriber
from streamsink.backends.redis.endpoint import Address, Endpoint
from streamsink.backends.redis.topology import Topology
from streamsink.core.errors import UnavailableError

from .scripted_server import Ear, about, answering, usual
from .support import SLOTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHANNEL = b"{c}"


class Server:
    """Answers as usual, but for what it is told to refuse, and may give the channel away when it is asked again."""

    def __init__(self) -> None:
        self.refusals: list[bytes] = []
        self.gives_away = False
        self.asked: list[list[bytes]] = []

    def __call__(self, command: list[bytes]) -> bytes:
        self.asked.append(command)
        if command[0] == b"SSUBSCRIBE" and self.gives_away:
            self.gives_away = False
            return about(b"sunsubscribe", CHANNEL) + usual(command)
        if command[0] == b"SSUBSCRIBE" and self.refusals:
            return self.refusals.pop(0)
        return usual(command)


@asynccontextmanager
async def subscribing(
    endpoint: Endpoint, **options: Any
) -> AsyncIterator[tuple[ClusterSubscriber, Topology, list[Endpoint]]]:
    """All slots are said to be there, or wherever the list says."""
    homes = [endpoint]

    async def ask(_: Address) -> Any:
        return [[0, SLOTS - 1, [homes[0].host.encode(), homes[0].port, b"id"]]]

    topology = Topology([Address(endpoint.host, endpoint.port)], ask, timeout_s=1)
    subscriber = ClusterSubscriber(
        topology,
        lambda there: Endpoint(host=there.host, port=there.port),
        **{"timeout_s": 1, "look_s": 0.05, **options},
    )
    try:
        yield subscriber, topology, homes
    finally:
        await subscriber.aclose()
        await topology.aclose()


async def test_a_master_that_sends_away_what_it_has_is_asked_again() -> None:
    server, ear = Server(), Ear()
    async with answering(server) as endpoint, subscribing(endpoint) as (subscriber, *_):
        await subscriber.listen(CHANNEL, ear)
        server.refusals = [b"-MOVED 1 ?:1\r\n", b"-MOVED 1 ?:1\r\n"]
        server.gives_away = True
        await subscriber.listen(b"{other}", Ear())

        await ear.gaps.get()

        await subscriber.check()
    assert [command[0] for command in server.asked].count(b"SSUBSCRIBE") == 5


async def test_a_refusal_that_points_nowhere_is_believed_for_so_long() -> None:
    server = Server()
    async with answering(server) as endpoint, subscribing(endpoint, timeout_s=0.2) as (subscriber, *_):
        server.refusals = [b"-MOVED 1 ?:1\r\n"]
        await subscriber.listen(CHANNEL, Ear())
        server.refusals = [b"-MOVED 1 ?:1\r\n"] * 100
        with pytest.raises(UnavailableError, match="in time"):
            await subscriber.listen(b"{other}", Ear())


async def test_a_subscription_goes_where_it_is_sent() -> None:
    one, other = Server(), Server()
    async with (
        answering(one) as endpoint,
        answering(other) as there,
        subscribing(endpoint, look_s=5) as (subscriber, topology, homes),
    ):
        await topology.refresh()
        homes[0] = there
        one.refusals = [b"-MOVED 1 127.0.0.1:%d\r\n" % there.port]

        await subscriber.listen(CHANNEL, Ear())

        assert subscriber.is_connected
    assert [b"SSUBSCRIBE", CHANNEL] in other.asked


async def test_another_refusal_is_told() -> None:
    server = Server()
    server.refusals = [b"-NOPERM no\r\n"]
    async with answering(server) as endpoint, subscribing(endpoint) as (subscriber, *_):
        with pytest.raises(UnavailableError, match="may not subscribe"):
            await subscriber.listen(CHANNEL, Ear())


async def test_a_listener_that_fails_is_told_of_the_gap_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    class Bad(Ear):
        def on_gap(self) -> None:
            super().on_gap()
            raise ZeroDivisionError("secret")

    async with (
        answering(usual) as endpoint,
        answering(usual) as there,
        subscribing(endpoint, look_s=5) as (subscriber, topology, homes),
    ):
        ear = Bad()
        await subscriber.listen(CHANNEL, ear)
        for each in (there, endpoint):
            homes[0] = each
            await topology.refresh()
            await ear.gaps.get()
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text
