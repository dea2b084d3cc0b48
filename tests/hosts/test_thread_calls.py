"""Joining and leaving, with real connections on a real port; the rest is in the contract."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from streamsink.core.delivery import ConnectInfo
from streamsink.core.settings import Settings, Times
from streamsink.hosts.asgi import StreamApp
from streamsink.testing.serving import serving
from streamsink.testing.signalr import SignalRClient, signalr_client

from .contract_checking import assert_error
from .support import make_agent, named

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.service


@asynccontextmanager
async def host() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running host; its calls are Ann's."""
    app = StreamApp([make_agent()], settings=Settings(times=Times(drain_s=0)), identify=named)
    headers = {"x-user": "ann", "x-wait-for-response": "false"}
    async with serving(app, lifespan=True) as url, httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as http:
        yield http


@asynccontextmanager
async def connected(http: httpx.AsyncClient, user: str = "ann") -> AsyncIterator[SignalRClient]:
    told = (await http.post("/api/agent/negotiate", headers={"x-user": user})).json()
    async with signalr_client(ConnectInfo(told["url"], told["accessToken"])) as client:
        yield client


async def test_who_has_joined_sees_what_happens_and_who_has_left_does_not() -> None:
    async with host() as http, connected(http) as stays, connected(http) as leaves:
        thread = (await http.post("/api/agent/create-thread")).json()["thread_id"]
        for client in (stays, leaves):
            body = {"group": thread, "connectionId": client.connection_id}
            for _ in range(2):  # again is no error
                joined = await http.post("/api/agent/join-group", json=body)
                assert (joined.status_code, joined.json()) == (200, {"status": "joined", "group": thread})
        left = await http.post("/api/agent/leave-group", json=body)
        assert left.json() == {"status": "left", "group": thread}

        await http.post(f"/api/agents/Robot/run?thread_id={thread}", content="Hi")
        await stays.until(1, target="agentDone")

        assert leaves.received == []


@pytest.mark.parametrize("asked", [{}, {"after": ""}], ids=["alone", "after"])
async def test_a_thread_that_was_deleted_cannot_be_joined(asked: dict[str, str]) -> None:
    async with host() as http, connected(http) as client:
        thread = (await http.post("/api/agent/create-thread")).json()["thread_id"]
        await http.delete(f"/api/agent/threads/{thread}")
        body = {"group": thread, "connectionId": client.connection_id, **asked}
        refused = await http.post("/api/agent/join-group", json=body)

        assert (refused.status_code, refused.json()["error"]["code"]) == (410, "thread_deleted")


async def test_a_join_says_what_was_missed() -> None:
    """From the beginning, or after a cursor; with a snapshot when there is one."""
    async with host() as http, connected(http) as client:
        thread = (await http.post("/api/agent/create-thread")).json()["thread_id"]
        body = {"group": thread, "connectionId": client.connection_id, "after": ""}
        empty = (await http.post("/api/agent/join-group", json=body)).json()
        assert set(empty) == {"status", "group", "replay"}
        assert empty["replay"]["events"] == []

        run = {"x-wait-for-response": "true"}
        await http.post(f"/api/agents/Robot/run?thread_id={thread}", content="Hi", headers=run)
        whole = (await http.post("/api/agent/join-group", json=body)).json()["replay"]
        rest = (await http.post("/api/agent/join-group", json={**body, "after": whole["cursor"]})).json()["replay"]

        assert whole["snapshot"]["runs"][0]["status"] == "completed"
        assert (rest["reset"], rest["events"]) == (False, [])


async def test_only_ones_own_connection_can_be_moved() -> None:
    """Neither into one's own thread nor out of one's own."""
    async with host() as http, connected(http, "bob") as theirs:
        thread = (await http.post("/api/agent/create-thread")).json()["thread_id"]
        body = {"group": thread, "connectionId": theirs.connection_id}

        assert_error(await http.post("/api/agent/join-group", json=body), 403, "forbidden")
        assert_error(await http.post("/api/agent/leave-group", json=body), 403, "forbidden")
        stranger = await http.post("/api/agent/join-group", json=body, headers={"x-user": "bob"})
        assert_error(stranger, 403, "forbidden")

        await http.post(f"/api/agents/Robot/run?thread_id={thread}", content="Hi", headers={"x-wait-for-response": "1"})
        assert theirs.received == []


async def test_a_drained_host_tells_its_clients_to_come_back() -> None:
    app = StreamApp([make_agent()], settings=Settings(times=Times(drain_s=0)), identify=named)
    async with (
        serving(app, lifespan=True) as url,
        httpx.AsyncClient(base_url=url, headers={"x-user": "ann"}, timeout=10) as http,
        connected(http) as client,
    ):
        await app.drain()
        await client.ended()

        assert client.closed is not None
        assert client.closed["allowReconnect"] is True
