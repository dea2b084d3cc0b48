"""The commands that people type, with two workers each, on Redis."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from streamsink.core.delivery import ConnectInfo
from streamsink.testing.signalr import signalr_client
from streamsink.testing.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.service

WAIT_S = 40.0


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@asynccontextmanager
async def started(
    valkey: ValkeyServer, *arguments: str, folder: Path | None = None
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The parent of two workers, and all that is said until its announcement."""
    environ = {
        **os.environ,
        "STREAM_BACKEND": "redis",
        "STREAM_REDIS_URL": valkey.url,
        "STREAM_SECRET": "a-secret-of-more-than-thirty-two-characters",
        "STREAM_DRAIN_S": "0",
    }
    command = (sys.executable, "-m", "streamsink", *arguments, "--workers", "2", "--port", "0")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environ, cwd=folder)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WAIT_S):
            said = ""
            while "http://" not in said:
                line = await process.stdout.readline()
                assert line, said
                said += line.decode()
            yield process, said
    finally:
        if process.returncode is None:
            process.kill()  # its workers end without it
            await process.wait()


async def test_two_workers_are_one_host(valkey: ValkeyServer, tmp_path: Path) -> None:
    """Each call is a connection of its own, for whichever worker takes it; both have loaded the agents."""
    (tmp_path / "my_agents.py").write_text(
        "import os\nfrom streamsink.demo import agents\nprint(os.getpid(), flush=True)"
    )
    async with started(valkey, "serve", "my_agents", folder=tmp_path) as (process, said):
        *loaded, announced = said.splitlines()
        assert len(set(loaded)) == 2
        assert announced.startswith("Open http://127.0.0.1:")
        url = announced.split()[1].removesuffix("/api/index")
        async with httpx.AsyncClient(base_url=url, timeout=WAIT_S, headers={"connection": "close"}) as http:
            (await http.get("/api/index")).raise_for_status()
            thread = (await http.post("/api/agent/create-thread")).json()["thread_id"]
            answer = (await http.post("/api/agent/negotiate")).json()
            async with signalr_client(ConnectInfo(answer["url"], answer["accessToken"])) as client:
                body = {"group": thread, "connectionId": client.connection_id}
                (await http.post("/api/agent/join-group", json=body)).raise_for_status()
                reply = await http.post("/api/agents/TravelPlanner/run", params={"thread_id": thread}, content="Hello")
                assert reply.json()["status"] == "completed"
                [done] = await client.until(target="agentDone")
                assert done.data["status"] == "completed"

                process.send_signal(signal.SIGTERM)

                await client.ended(timeout_s=WAIT_S)
                assert client.closed == {"type": 7, "allowReconnect": True}
        assert await process.wait() == 0


async def test_two_gateways_are_one_gateway(valkey: ValkeyServer) -> None:
    async with started(valkey, "gateway") as (process, said):
        assert said.startswith("Clients connect to http://127.0.0.1:")
        url = said.split()[3].removesuffix("/client")
        async with httpx.AsyncClient(base_url=url, timeout=WAIT_S) as http:
            assert (await http.get("/api/ready")).json() == {"status": "ready"}

        process.send_signal(signal.SIGINT)

        assert await process.wait() == 0


async def test_workers_do_not_outlive_their_parent(valkey: ValkeyServer) -> None:
    async with started(valkey, "gateway") as (process, _):
        process.kill()
        await process.wait()

        assert process.stdout is not None
        assert await process.stdout.read() == b""  # its end comes when nobody has it any more
