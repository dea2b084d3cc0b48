"""Server-Sent Events and long polling against a gateway on a real server, without a client library."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from streamsink.backends.gateway.connection import Limits
from streamsink.backends.gateway.delivery import GatewayBounds

from .server import ANN, Server, complaints, serving
from .support import HANDSHAKE, make_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.service


class Client:
    """Requests of one negotiated connection."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self.http = http
        self.url = f"/client/?hub=streamsink&id={token}"

    async def post(self, data: str) -> int:
        return (await self.http.post(self.url, content=data.encode())).status_code


@asynccontextmanager
async def negotiated(server: Server) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {server.info.access_token}"}
    async with httpx.AsyncClient(headers=headers, base_url=server.base_url, timeout=20) as http:
        reply = await http.post("/client/negotiate?hub=streamsink&negotiateVersion=1")
        yield Client(http, reply.json()["connectionToken"])


@asynccontextmanager
async def streaming(server: Server, client: Client) -> AsyncIterator[asyncio.StreamReader]:
    """An event stream as bytes; dropped on leaving."""
    reader, writer = await asyncio.open_connection(*server.base_url.removeprefix("http://").split(":"))
    writer.write(
        f"GET {client.url}&access_token={server.info.access_token} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Accept: text/event-stream\r\nAccept-Encoding: gzip, br\r\n\r\n".encode()
    )
    try:
        yield reader
    finally:
        writer.transport.abort()


async def all_gone(server: Server) -> None:
    await asyncio.wait_for(server.is_idle(), 20)
    assert len(server.delivery.hub) == 0


async def noticed(server: Server) -> None:
    """Return when the server has seen that its only client's poll is gone."""
    (session,) = server.delivery.client_app._sessions._sessions
    async with asyncio.timeout(20):
        while session._poll is not None:  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0.01)


async def test_a_stream_is_written_as_it_happens_and_dropping_it_frees_the_connection(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Check 47: the first bytes before any message; uncompressed although the client would take it."""
    async with negotiated(server) as client:
        async with streaming(server, client) as reader:
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"content-encoding: identity\r\n" in head
            assert await reader.readuntil(b":\r\n\r\n") == b"3\r\n:\r\n\r\n"  # a chunk of three bytes
            assert await client.post(HANDSHAKE) == 200
            assert await reader.readuntil(b"\x1e") == b"d\r\ndata: {}\x1e"
        await all_gone(server)

        assert await client.post(HANDSHAKE) == 404
    assert complaints(caplog) == []


async def test_a_poll_that_is_dropped_takes_nothing_with_it(server: Server) -> None:
    """Check 46."""
    async with negotiated(server) as client:
        assert (await client.http.get(client.url)).content == b""
        assert await client.post(HANDSHAKE) == 200
        assert (await client.http.get(client.url)).content == b"{}\x1e"
        with pytest.raises(httpx.ReadTimeout):
            await client.http.get(client.url, timeout=0.1)
        await noticed(server)
        (connection_id,) = server.delivery.hub._connections
        await server.delivery.join("t", connection_id, user_id=ANN.id)

        newer = asyncio.create_task(client.http.get(client.url))
        await server.delivery.deliver("t", [make_event(1)])

        assert b'"seq":1' in (await newer).content
        assert (await client.http.delete(client.url)).status_code == 202
    await all_gone(server)


async def test_a_stream_that_nobody_reads_is_cut_off_and_memory_is_bounded() -> None:
    """Check 49."""
    bounds = GatewayBounds(max_buffered_bytes=200_000, close_s=0.0)
    async with serving(bounds) as server, negotiated(server) as client, streaming(server, client) as reader:
        await reader.readuntil(b":\r\n\r\n")
        assert await client.post(HANDSHAKE) == 200
        hub = server.delivery.hub
        (connection_id,) = hub._connections
        await server.delivery.join("t", connection_id, user_id=ANN.id)

        sent = 0
        while hub.slow_readers == 0:
            await server.delivery.deliver("t", [make_event(sent, filler="x" * 50_000)])
            await asyncio.sleep(0)
            sent += 1

        # What the two kernels buffer comes on top of the bound.
        assert sent * 50_000 < 30_000_000
        await all_gone(server)


async def test_a_client_that_polls_no_more_is_forgotten() -> None:
    """Check 46, with a shorter patience."""
    bounds = GatewayBounds(connection=Limits(absent_s=0.1), close_s=0.0)
    async with serving(bounds) as server, negotiated(server) as client:
        await client.http.get(client.url)
        await client.post(HANDSHAKE)
        await all_gone(server)

        assert (await client.http.get(client.url)).status_code == 404
