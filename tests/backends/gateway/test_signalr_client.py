"""The official JavaScript client, in Node, on every transport and protocol, through an application's redirect."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from streamsink.backends.gateway.connection import Limits
from streamsink.backends.gateway.delivery import GatewayBounds
from streamsink.backends.gateway.negotiate import LONG_POLLING

from .clients import node, running
from .server import ANN, Server, complaints, serving
from .support import make_event

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from .clients import Client

pytestmark = pytest.mark.service

WAYS = [
    ("WebSockets", "json"),
    ("WebSockets", "messagepack"),
    ("ServerSentEvents", "json"),
    ("LongPolling", "json"),
    ("LongPolling", "messagepack"),
]
every_way = pytest.mark.parametrize("way", WAYS, ids=" ".join)


def started(server: Server, mode: str, way: tuple[str, str]) -> AbstractAsyncContextManager[Client]:
    return running(*node(f"{server.base_url}/api/agent", mode, *way))


async def stopped(client: Client, server: Server) -> None:
    """The client stops by itself, and nothing of it remains."""
    client.do("stop")
    assert (await client.expect("closed"))["error"] is None
    await asyncio.wait_for(server.is_idle(), 20)
    assert len(server.delivery.hub) == 0


@every_way
async def test_it_connects_through_a_redirect_and_receives(
    server: Server, way: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Checks 1, 30, 38, 39, 46, 47 and 67; nothing of it is worth a warning."""
    async with started(server, "plain", way) as client:
        connection_id = (await client.expect("started"))["id"]
        await server.delivery.join("t", connection_id, user_id=ANN.id)

        await server.delivery.deliver("t", [make_event(1, text="ü\u2028", n=None), make_event(2)])
        await server.delivery.deliver("t", [make_event(3)])

        first = await client.expect("message")
        assert first["data"] == {"text": "ü\u2028", "n": None, "seq": 1, "epoch": "1700"}
        assert [(await client.expect("message"))["data"]["seq"] for _ in range(2)] == [2, 3]
        await stopped(client, server)
    assert complaints(caplog) == []


@every_way
async def test_unknown_methods_fail_and_the_connection_stays(server: Server, way: tuple[str, str]) -> None:
    """Checks 31, 36, 37 and 67."""
    async with started(server, "plain", way) as client:
        connection_id = (await client.expect("started"))["id"]
        client.do("send", target="Nothing", args=[1])
        await client.expect("sent")
        for command in ("invoke", "stream"):
            client.do(command, target="Nope", args=[40, 2])

            assert (await client.expect("failed"))["error"] == (
                "Failed to invoke 'Nope' due to an error on the server. HubException: Method does not exist."
            )
        assert connection_id in server.delivery.hub
        await stopped(client, server)


@every_way
@pytest.mark.parametrize("mode", ["plain", "reconnect"])
async def test_a_close_without_reconnect_is_final(server: Server, way: tuple[str, str], mode: str) -> None:
    """Checks 44 and 67."""
    async with started(server, mode, way) as client:
        connection_id = (await client.expect("started"))["id"]

        server.delivery.hub.close(connection_id, "bye")

        assert "bye" in (await client.expect("closed"))["error"]
        assert server.negotiations == 1


@every_way
async def test_a_close_with_reconnect_brings_the_client_back(server: Server, way: tuple[str, str]) -> None:
    """Checks 44 and 67: with a new connection id and through the application's negotiate."""
    async with started(server, "reconnect", way) as client:
        connection_id = (await client.expect("started"))["id"]

        server.delivery.hub.close(connection_id, allow_reconnect=True)

        await client.expect("reconnecting")
        back = (await client.expect("reconnected"))["id"]
        assert back != connection_id
        assert server.negotiations == 2
        await server.delivery.join("t", back, user_id=ANN.id)
        await server.delivery.deliver("t", [make_event(9)])
        assert (await client.expect("message"))["data"]["seq"] == 9
        await stopped(client, server)


@every_way
async def test_a_client_that_stops_is_forgotten(server: Server, way: tuple[str, str]) -> None:
    """Check 45."""
    async with started(server, "plain", way) as client:
        await client.expect("started")

        await stopped(client, server)


async def test_polls_that_nothing_answers_do_not_end_the_connection() -> None:
    """Check 46, with a shorter poll."""
    bounds = GatewayBounds(connection=Limits(poll_s=0.0), close_s=0.5)
    async with serving(bounds) as server, started(server, "plain", ("LongPolling", "json")) as client:
        connection_id = (await client.expect("started"))["id"]
        await server.delivery.join("t", connection_id, user_id=ANN.id)
        app = server.delivery.client_app
        first = server.requests
        while server.requests < first + 2:
            app.tick()
            await asyncio.sleep(0)

        await server.delivery.deliver("t", [make_event(1)])

        assert (await client.expect("message"))["data"]["seq"] == 1


async def test_it_takes_the_transport_that_is_offered() -> None:
    """Check 1: whatever the client would prefer."""
    async with (
        serving(transports=[LONG_POLLING]) as server,
        running(*node(f"{server.base_url}/api/agent", "plain", "any")) as client,
    ):
        await client.expect("started")
        (session,) = server.delivery.client_app._sessions._sessions
        assert session.transport is LONG_POLLING


async def test_it_connects_without_negotiating(server: Server) -> None:
    """Check 13."""
    url = f"{server.info.url}&access_token={server.info.access_token}"
    async with running(*node(url, "skip")) as client:
        assert (await client.expect("started"))["id"] is None
        assert len(server.delivery.hub) == 1


async def test_without_a_token_it_is_refused(server: Server) -> None:
    """Check 15."""
    async with running(*node(f"{server.base_url}/client/?hub=streamsink")) as client:
        assert "401" in (await client.expect("refused"))["error"]


@every_way
async def test_a_draining_gateway_asks_clients_to_reconnect(server: Server, way: tuple[str, str]) -> None:
    async with started(server, "reconnect", way) as client:
        await client.expect("started")

        await server.delivery.drain()

        assert (await client.expect("reconnecting"))["error"] is None
