"""Raw WebSockets against a gateway on a real server."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from streamsink.backends.gateway.connection import Limits
from streamsink.backends.gateway.delivery import GatewayBounds

from .server import ANN, Path, Server, serving
from .support import HANDSHAKE, make_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.service

BROKEN = '{"type":7,"error":"Connection closed with an error.","allowReconnect":true}\x1e'


def ws_url(server: Server, **query: str) -> str:
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return server.info.url.replace("http", "ws", 1) + more


@asynccontextmanager
async def connecting(server: Server, **query: str) -> AsyncIterator[ClientConnection]:
    headers = {"Authorization": f"Bearer {server.info.access_token}"}
    async with connect(ws_url(server, **query), additional_headers=headers, compression=None) as client:
        yield client


@asynccontextmanager
async def opened(server: Server) -> AsyncIterator[ClientConnection]:
    async with connecting(server) as client:
        await client.send(HANDSHAKE)
        assert await client.recv() == "{}\x1e"
        yield client


async def rest(client: ClientConnection) -> tuple[list[str | bytes], int]:
    """What is still said, and the code of the end."""
    said = [message async for message in client]
    assert client.close_code is not None
    return said, client.close_code


async def test_a_browser_shows_its_token_in_the_query(server: Server) -> None:
    """Checks 18 and 30."""
    url = ws_url(server, access_token=server.info.access_token)
    async with connect(url) as client:
        await client.send(HANDSHAKE.encode())

        assert await client.recv() == "{}\x1e"
        assert client.protocol.extensions == []


@pytest.mark.parametrize("request_", ["x" * 40_000, "[]\x1e", '{"protocol":"xml","version":1}\x1e', b"\xff\x1e"])
async def test_a_bad_handshake_is_answered(server: Server, request_: str | bytes) -> None:
    """Checks 24, 26 and 27."""
    async with connecting(server) as client:
        await client.send(request_)
        (reply,), code = await rest(client)

    assert list(json.loads(reply[:-1])) == ["error"]
    assert code == 1000


@pytest.mark.parametrize("data", ["nonsense\x1e", '{"type":"1"}\x1e', "x" * 40_000, b'{"type":6}\x1e', b"\xff\xfe"])
async def test_malformed_messages_end_their_connection_only(server: Server, data: str | bytes) -> None:
    """Checks 33, 35 and 41."""
    async with opened(server) as other, opened(server) as client:
        await client.send(data)
        assert await rest(client) == ([BROKEN], 1000)

        await other.send('{"type":1,"target":"X","arguments":[],"invocationId":"0"}\x1e')
        assert "Method does not exist" in str(await other.recv())


async def test_a_text_frame_that_is_not_utf_8_ends_the_connection(server: Server) -> None:
    """Check 41: here the server of the WebSocket sees it first."""
    async with opened(server) as other, opened(server) as client:
        await client.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosed):
            await client.recv()

        await other.send('{"type":1,"target":"X","arguments":[],"invocationId":"0"}\x1e')
        assert "Method does not exist" in str(await other.recv())


async def test_fragments_and_several_messages_are_put_together(server: Server) -> None:
    """Checks 28 and 32."""
    call = '{"type":1,"target":"X","arguments":[],"invocationId":"0"}\x1e'
    async with connecting(server) as client:
        await client.send([HANDSHAKE[:4], HANDSHAKE[4:] + call[:9]])
        await client.send(call[9:] + call)

        assert await client.recv() == "{}\x1e"
        said = str(await client.recv())
        while said.count("\x1e") < 2:
            said += str(await client.recv())
    assert said.count("Method does not exist") == 2


async def test_a_client_that_hangs_up_is_forgotten(server: Server) -> None:
    """Check 45."""
    async with opened(server) as client:
        assert len(server.delivery.hub) == 1
        await client.send('{"type":7}\x1e')
        assert await rest(client) == ([], 1000)

    assert len(server.delivery.hub) == 0


@pytest.mark.parametrize(("query", "status"), [({"id": "unknown"}, 404), ({"hub": "x"}, 400)])
async def test_refusals_come_before_the_upgrade(server: Server, query: dict[str, str], status: int) -> None:
    """Checks 7 and 11."""
    with pytest.raises(InvalidStatus) as caught:
        async with connecting(server, **query):
            raise AssertionError("it was accepted")

    assert caught.value.response.status_code == status


async def test_a_bad_token_is_refused_before_the_upgrade(server: Server) -> None:
    """Check 15."""
    with pytest.raises(InvalidStatus) as caught:
        await connect(ws_url(server, access_token="bad"))

    assert caught.value.response.status_code == 401
    assert caught.value.response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_negotiated_connection_is_used_once(server: Server) -> None:
    """Checks 1, 12 and 48."""
    headers = {"Authorization": f"Bearer {server.info.access_token}"}
    async with httpx.AsyncClient(headers=headers, base_url=server.base_url) as client:
        reply = await client.post("/client/negotiate?hub=streamsink&negotiateVersion=1")
        token = reply.json()["connectionToken"]
        async with connecting(server, id=token):
            with pytest.raises(InvalidStatus) as caught:
                async with connecting(server, id=token):
                    raise AssertionError("it was accepted")
            posted = await client.post(f"/client/?hub=streamsink&id={token}", content=b"x")

    assert caught.value.response.status_code == 409
    assert posted.status_code == 405


async def test_a_reader_that_stands_still_is_cut_off_and_memory_is_bounded(path: Path) -> None:
    """Check 49."""
    bounds = GatewayBounds(max_buffered_bytes=200_000, close_s=0.0)
    async with serving(bounds, path=path) as server, opened(server) as other, opened(server) as slow:
        hub = server.delivery.hub
        for connection_id in list(hub._connections):
            hub.join("g", connection_id, ANN.id)
        slow.transport.pause_reading()
        sent = 0
        while hub.slow_readers == 0:
            await server.delivery.deliver("g", [make_event(sent, filler="x" * 50_000)])
            assert f'"seq":{sent}' in str(await other.recv())
            sent += 1

        # What the two kernels buffer comes on top of the bound.
        assert sent * 50_000 < 30_000_000
        assert hub.members("g") == [next(iter(hub._connections))]
        slow.transport.abort()


async def test_pings_come_by_themselves(path: Path) -> None:
    """Check 42, with a shorter interval."""
    bounds = GatewayBounds(connection=Limits(ping_s=0.1), close_s=0.5)
    async with serving(bounds, path=path) as server, opened(server) as client:
        assert await client.recv() == '{"type":6}\x1e'
        assert await client.recv() == '{"type":6}\x1e'
