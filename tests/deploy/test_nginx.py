"""Two nodes behind nginx with the shipped configuration: whatever is asked may come to either of them."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from streamsink.core.delivery import ConnectInfo
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings, Times
from streamsink.hosts.asgi import StreamApp
from streamsink.hosts.sockets import websocket_protocol
from streamsink.opening import open_sink
from streamsink.testing.serving import serving
from streamsink.testing.signalr import SignalRClient, signalr_client
from streamsink.testing.valkey import ValkeyServer
from tests.hosts.support import make_agent

from .nginx import Nginx, configured, find, nginx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.service

WAIT_S = 20.0
SECRET = SecretRing({"a": "a-secret-of-more-than-thirty-two-characters"})


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@dataclass
class Site:
    """Two nodes, nginx, and a browser's cookies."""

    nodes: list[StreamApp]
    nginx: Nginx
    http: httpx.AsyncClient

    async def thread(self) -> str:
        return str((await self.http.post("/api/agent/create-thread")).raise_for_status().json()["thread_id"])

    async def negotiate(self) -> ConnectInfo:
        answer = (await self.http.post("/api/agent/negotiate")).raise_for_status().json()
        return ConnectInfo(answer["url"], answer["accessToken"])

    async def join(self, thread: str, connection_id: str) -> None:
        body = {"group": thread, "connectionId": connection_id}
        (await self.http.post("/api/agent/join-group", json=body)).raise_for_status()

    async def ask(self, thread: str) -> str:
        answer = await self.http.post("/api/agents/Robot/run", params={"thread_id": thread}, content="Hi")
        return str(answer.raise_for_status().json()["response"])


@asynccontextmanager
async def site(valkey: ValkeyServer, folder: Path) -> AsyncIterator[Site]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = "http://{}:{}".format(*listener.getsockname())
    settings = Settings(backend="redis", secret=SECRET, public_url=url, times=Times(drain_s=0))
    environ = {"STREAM_REDIS_URL": valkey.url, "STREAM_REDIS_PREFIX": folder.name.replace("_", "-")}
    async with asyncio.timeout(2 * WAIT_S), AsyncExitStack() as stack:
        stack.callback(listener.close)
        nodes, urls = [], []
        for _ in range(2):
            sink = await stack.enter_async_context(open_sink(settings, environ=environ))
            app = StreamApp([make_agent()], settings=settings, sink=sink)
            urls.append(
                await stack.enter_async_context(serving(app, lifespan=True, ws=websocket_protocol(app.sockets)))
            )
            nodes.append(app)
        server = await stack.enter_async_context(nginx(listener, urls, folder))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=WAIT_S))
        (await http.get("/api/index")).raise_for_status()  # brings the cookie
        yield Site(nodes, server, http)


async def test_clients_need_no_stickiness(valkey: ValkeyServer, tmp_path: Path) -> None:
    """Negotiate, WebSocket, join and run take turns between the nodes."""
    async with site(valkey, tmp_path) as behind, AsyncExitStack() as stack:
        thread = await behind.thread()
        clients = []
        for _ in range(3):  # an odd number of calls each: they begin at either node
            client = await stack.enter_async_context(signalr_client(await behind.negotiate()))
            await behind.join(thread, client.connection_id)
            clients.append(client)

        assert await behind.ask(thread) == "Hello there"

        for client in clients:
            [done] = await client.until(target="agentDone")
            assert done.data["status"] == "completed"


async def test_a_live_stream_is_not_held_back(valkey: ValkeyServer, tmp_path: Path) -> None:
    async with site(valkey, tmp_path) as behind:
        thread = await behind.thread()
        events = f"/api/agent/threads/{thread}/events"
        async with behind.http.stream("GET", events, headers={"accept": "text/event-stream"}) as stream:
            assert stream.raise_for_status().headers["content-type"].startswith("text/event-stream")
            await behind.ask(thread)

            lines = await _read_until(stream, "event: agentDone")

        assert "event: agentMessage" in lines


async def test_who_is_sent_away_by_a_node_is_taken_by_the_other(valkey: ValkeyServer, tmp_path: Path) -> None:
    async with site(valkey, tmp_path) as behind, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(signalr_client(await behind.negotiate())) for _ in range(3)]

        await behind.nodes[0].drain()

        told = await _first_ended(clients)
        assert told.closed == {"type": 7, "allowReconnect": True}
        for _ in range(4):
            async with signalr_client(await behind.negotiate()) as client:
                thread = await behind.thread()
                await behind.join(thread, client.connection_id)


async def test_no_log_has_a_query(valkey: ValkeyServer, tmp_path: Path) -> None:
    """Neither of what went well, nor of what did not."""
    async with site(valkey, tmp_path) as behind:
        secret = {"access_token": "swordfish"}
        await behind.http.get("/client/", params=secret)
        listener = socket.create_server(("127.0.0.1", 0))
        nowhere = "http://{}:{}".format(*listener.getsockname())
        gone = ["http://127.0.0.1:1", "http://127.0.0.1:1"]  # nobody listens there
        (tmp_path / "gone").mkdir()
        async with nginx(listener, gone, tmp_path / "gone") as alone, httpx.AsyncClient(timeout=WAIT_S) as http:
            assert (await http.get(f"{nowhere}/client/", params=secret)).status_code == 502
    said = behind.nginx.log.read_text() + alone.log.read_text()

    assert said.count(" /client/ ") == 2
    assert "swordfish" not in said
    assert " 502 " in said


@pytest.mark.parametrize("choice", ["ip_hash;", "hash $cookie_streamsink_user consistent;"])
def test_what_is_commented_out_is_valid_too(choice: str, tmp_path: Path) -> None:
    text = configured("127.0.0.1:8080", ["http://127.0.0.1:1", "http://127.0.0.1:2"], tmp_path)
    assert f"# {choice}" in text
    (tmp_path / "nginx.conf").write_text(text.replace(f"# {choice}", choice))

    command = [find(), "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    tried = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_S)

    assert tried.returncode == 0, tried.stderr
    assert "[warn]" not in tried.stderr


async def _read_until(stream: httpx.Response, last: str) -> list[str]:
    lines = []
    async for line in stream.aiter_lines():
        lines.append(line)
        if line == last:
            break
    return lines


async def _first_ended(clients: list[SignalRClient]) -> SignalRClient:
    ends = {asyncio.create_task(client.ended(timeout_s=WAIT_S)): client for client in clients}
    done, others = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    return ends[done.pop()]
