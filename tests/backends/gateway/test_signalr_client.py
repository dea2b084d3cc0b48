"""The official JavaScript client, in Node, against a gateway on a real server."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .server import ANN, Server
from .support import make_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.service

SCRIPT = Path(__file__).with_name("signalr_client.mjs")


class Client:
    """The client's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout

    def do(self, command: str, **fields: Any) -> None:
        self._in.write(json.dumps({"command": command, **fields}).encode() + b"\n")

    async def expect(self, event: str) -> dict[str, Any]:
        """The next event, which must be this one."""
        line = await asyncio.wait_for(self._out.readline(), 20)
        found: dict[str, Any] = json.loads(line)
        assert found.pop("event") == event, found
        return found


@asynccontextmanager
async def running(url: str, mode: str = "plain") -> AsyncIterator[Client]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    process = await asyncio.create_subprocess_exec(
        node, str(SCRIPT), url, mode, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Client(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def app_url(server: Server) -> str:
    return f"{server.base_url}/api/agent"


async def test_it_connects_through_a_redirect_and_receives(server: Server) -> None:
    """Checks 1, 30, 38 and 67."""
    async with running(app_url(server)) as client:
        connection_id = (await client.expect("started"))["id"]
        await server.delivery.join("t", connection_id, user_id=ANN.id)

        await server.delivery.deliver("t", [make_event(1, text="ü\u2028"), make_event(2)])
        await server.delivery.deliver("t", [make_event(3)])

        first = await client.expect("message")
        assert first["data"] == {"text": "ü\u2028", "seq": 1, "epoch": "1700"}
        assert [(await client.expect("message"))["data"]["seq"] for _ in range(2)] == [2, 3]


async def test_unknown_methods_fail_and_the_connection_stays(server: Server) -> None:
    """Checks 31, 36 and 37."""
    async with running(app_url(server)) as client:
        connection_id = (await client.expect("started"))["id"]
        client.do("send", target="Nothing", args=[1])
        await client.expect("sent")
        for command in ("invoke", "stream"):
            client.do(command, target="Nope", args=[40, 2])

            assert (await client.expect("failed"))["error"] == (
                "Failed to invoke 'Nope' due to an error on the server. HubException: Method does not exist."
            )
        assert connection_id in server.delivery.hub


@pytest.mark.parametrize("mode", ["plain", "reconnect"])
async def test_a_close_without_reconnect_is_final(server: Server, mode: str) -> None:
    """Check 44."""
    async with running(app_url(server), mode) as client:
        connection_id = (await client.expect("started"))["id"]

        server.delivery.hub.close(connection_id, "bye")

        assert "bye" in (await client.expect("closed"))["error"]
        assert server.negotiations == 1


async def test_a_close_with_reconnect_brings_the_client_back(server: Server) -> None:
    """Check 44: with a new connection id and through the application's negotiate."""
    async with running(app_url(server), "reconnect") as client:
        connection_id = (await client.expect("started"))["id"]

        server.delivery.hub.close(connection_id, allow_reconnect=True)

        await client.expect("reconnecting")
        back = (await client.expect("reconnected"))["id"]
        assert back != connection_id
        assert server.negotiations == 2
        await server.delivery.join("t", back, user_id=ANN.id)
        await server.delivery.deliver("t", [make_event(9)])
        assert (await client.expect("message"))["data"]["seq"] == 9


async def test_a_client_that_stops_is_forgotten(server: Server) -> None:
    """Check 45."""
    async with running(app_url(server)) as client:
        await client.expect("started")

        client.do("stop")

        assert (await client.expect("closed"))["error"] is None
        await asyncio.wait_for(server.is_idle(), 20)
        assert len(server.delivery.hub) == 0


async def test_it_connects_without_negotiating(server: Server) -> None:
    """Check 13."""
    url = f"{server.info.url}&access_token={server.info.access_token}"
    async with running(url, "skip") as client:
        assert (await client.expect("started"))["id"] is None
        assert len(server.delivery.hub) == 1


async def test_without_a_token_it_is_refused(server: Server) -> None:
    """Check 15."""
    async with running(f"{server.base_url}/client/?hub=streamsink") as client:
        assert "401" in (await client.expect("refused"))["error"]


async def test_a_draining_gateway_asks_clients_to_reconnect(server: Server) -> None:
    async with running(app_url(server), "reconnect") as client:
        await client.expect("started")

        await server.delivery.drain()

        assert (await client.expect("reconnecting"))["error"] is None
