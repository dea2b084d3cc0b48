"""pysignalr and signalrcore, as they are: after a redirect and directly, with JSON and with MessagePack."""

from __future__ import annotations

import asyncio

import pytest

from .clients import Client, python, running
from .server import ANN, Server, complaints
from .support import make_event

pytestmark = pytest.mark.service

every_way = pytest.mark.parametrize(
    ("protocol", "way"),
    [(protocol, way) for protocol in ("json", "messagepack") for way in ("redirect", "direct")],
)


def command(name: str, server: Server, protocol: str, way: str) -> tuple[str, ...]:
    if way == "redirect":
        return python(name, f"{server.base_url}/api/agent", protocol)
    return python(name, server.info.url, protocol, server.info.access_token)


async def receive(client: Client, server: Server, *seqs: int) -> None:
    """The client's only connection joins a group and gets these events, in one batch."""
    (connection_id,) = server.delivery.hub._connections  # these clients do not learn their own id
    await server.delivery.join("t", connection_id, user_id=ANN.id)
    await server.delivery.deliver("t", [make_event(seq, text="ü") for seq in seqs])
    for seq in seqs:
        data = (await client.expect("message"))["data"]
        assert data == {"text": "ü", "seq": seq, "epoch": "1700"}


async def call_nothing(client: Client) -> None:
    client.do("invoke", target="Nope", args=[1])
    assert "Method does not exist" in (await client.expect("failed"))["error"]


async def all_gone(server: Server) -> None:
    await asyncio.wait_for(server.is_idle(), 20)
    assert len(server.delivery.hub) == 0


@every_way
async def test_pysignalr(server: Server, protocol: str, way: str, caplog: pytest.LogCaptureFixture) -> None:
    """Checks 2, 11, 13, 29, 31, 36, 39 and 68.

    It comes back at once, to the same URL. After a redirect that has no id and is a fresh connection; otherwise it
    names an id that was used, and the 404 makes it negotiate where a 101 would have made it try for ever.
    """
    async with running(*command("pysignalr", server, protocol, way)) as client:
        await client.expect("started")
        await receive(client, server, 1, 2)
        await call_nothing(client)

        server.delivery.hub.close_all(allow_reconnect=True)

        await client.expect("closed")
        if way == "direct":
            await client.expect("closed")
        await client.expect("started")
        await receive(client, server, 3)
        assert server.claims == (2 if way == "redirect" else 3)
    await all_gone(server)
    assert complaints(caplog) == []


@every_way
async def test_signalrcore(server: Server, protocol: str, way: str, caplog: pytest.LogCaptureFixture) -> None:
    """Checks 2, 13, 25, 29, 31, 36, 39, 45 and 68: it comes back a second later, and stops without a word."""
    async with running(*command("signalrcore", server, protocol, way)) as client:
        await client.expect("started")
        await receive(client, server, 1, 2)
        await call_nothing(client)

        server.delivery.hub.close_all(error="bye", allow_reconnect=True)

        await client.expect("reconnecting")
        await server.connected()
        await receive(client, server, 3)
        assert server.claims == 2
    await all_gone(server)
    assert complaints(caplog) == []
