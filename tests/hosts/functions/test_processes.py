"""The whole path, as on the platform: workers that are processes, Redis for the history, a service that delivers.

A page's calls: cookie, thread, negotiate, connect, join, run; what arrives is what its person asked for.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from streamsink.backends.signalr.twin import twin
from streamsink.core.delivery import ConnectInfo
from streamsink.testing.signalr import SignalRClient, signalr_client
from streamsink.testing.valkey import ValkeyServer
from tests.functions_platform import FunctionsPlatform, ProcessWorker
from tests.hosts.support import NO_WAIT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SCRIPT: Final = Path(__file__).parent / "scripts" / "function_app.py"

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@dataclass
class Page:
    """A page as its script sees the world."""

    http: httpx.AsyncClient
    client: SignalRClient
    thread: str

    async def ask(self, message: str) -> None:
        url = f"/api/agents/Robot/run?thread_id={self.thread}"
        reply = await self.http.post(url, json={"message": message}, headers=NO_WAIT)
        assert reply.status_code == 202, reply.text

    async def ends(self, count: int = 1) -> list[str]:
        done = await self.client.until(count, target="agentDone", timeout_s=20)
        return [event.data["status"] for event in done]

    def answers(self) -> dict[tuple[str, int], str]:
        """What each attempt of each run has said."""
        said: dict[tuple[str, int], str] = {}
        for event in self.client.received:
            if event.target == "agentMessage":
                key = (event.data["correlationId"], event.data["attempt"])
                said[key] = said.get(key, "") + event.data["text"]
        return said


@dataclass
class Deployment:
    platform: FunctionsPlatform
    workers: list[ProcessWorker]
    environ: dict[str, str]
    stack: AsyncExitStack

    def worker(self, **more: str) -> ProcessWorker:
        return ProcessWorker(SCRIPT, env={**self.environ, **more})

    async def page(self) -> Page:
        http = await self.stack.enter_async_context(httpx.AsyncClient(base_url=self.platform.url, timeout=20))
        await http.get("/api/index")
        thread = (await http.post("/api/agent/create-thread")).json()["thread_id"]
        told = (await http.post("/api/agent/negotiate")).json()
        info = ConnectInfo(told["url"], told["accessToken"])
        client = await self.stack.enter_async_context(signalr_client(info))
        join = {"group": thread, "connectionId": client.connection_id, "after": ""}
        reply = await http.post("/api/agent/join-group", json=join)
        assert reply.status_code == 200, reply.text
        return Page(http, client, thread)


@asynccontextmanager
async def deployed(valkey: ValkeyServer, *workers: dict[str, str], **more: str) -> AsyncIterator[Deployment]:
    """The app in so many workers, each with what it has in its environment beside the others'."""
    async with twin() as service, AsyncExitStack() as stack:
        environ = {
            "AzureSignalRConnectionString": service.connection_string,
            "STREAM_BACKEND": "signalr",
            "STREAM_HISTORY": "redis",
            "STREAM_REDIS_URL": valkey.url,
            "STREAM_SECRET": "s" * 40,
            "WEBSITE_INSTANCE_ID": "0",
            **more,
        }
        first = [ProcessWorker(SCRIPT, env={**environ, **each}) for each in workers]
        platform = await stack.enter_async_context(FunctionsPlatform(*first))
        yield Deployment(platform, first, environ, stack)


async def test_two_people_see_their_own_answers(valkey: ValkeyServer) -> None:
    """Several turns each, over two workers; nobody hears of the other."""
    async with deployed(valkey, {}, {}) as deployment:
        ann, bob = await deployment.page(), await deployment.page()
        for turn in (1, 2):
            for name, page in (("ann", ann), ("bob", bob)):
                await page.ask(f"{name} {turn}")
            assert [await page.ends(turn) for page in (ann, bob)] == [["completed"] * turn] * 2

        assert list(ann.answers().values()) == ["1 ann 1", "3 ann 2"]
        assert list(bob.answers().values()) == ["1 bob 1", "3 bob 2"]
        stranger = await bob.http.get(f"/api/agent/threads/{ann.thread}/events")
        assert stranger.status_code == 403


async def test_a_worker_that_dies_is_shown_and_another_answers(valkey: ValkeyServer) -> None:
    dying = {"HANG": "1"}
    async with deployed(valkey, dying) as deployment:
        page = await deployment.page()
        await page.ask("Hi")
        await page.client.until(target="agentMessage")

        await deployment.workers[0].kill()
        await deployment.platform.add_worker(deployment.worker())

        assert await page.ends() == ["completed"]
        assert [said for (_, attempt), said in sorted(page.answers().items())] == ["Half of", "1 Hi"]
        (interrupted,) = await page.client.until(target="agentInterrupted")
        assert interrupted.data["attempt"] == 1


async def test_a_worker_that_dies_for_good_is_shown_and_its_run_fails(valkey: ValkeyServer) -> None:
    """First as interrupted; as failed when nobody has executed it again in time; and then nobody does."""
    times = {"STREAM_LEASE_S": "1", "STREAM_REDELIVERY_S": "1"}
    async with deployed(valkey, {"HANG": "1"}, **times) as deployment:
        page = await deployment.page()
        await page.ask("Hi")
        await page.client.until(target="agentMessage")

        with deployment.platform.faults.held_batches():
            await deployment.workers[0].kill()
            await deployment.platform.add_worker(deployment.worker())
            # Its sweep ends what nobody executes.
            await page.http.get("/api/ready")
            assert await page.ends() == ["failed"]
        await deployment.platform.idle()

        targets = [event.target for event in page.client.received]
        assert targets.index("agentInterrupted") < targets.index("agentDone")
        assert targets.count("agentDone") == 1
        assert list(page.answers().values()) == ["Half of"]


async def test_a_run_is_stopped_from_another_worker(valkey: ValkeyServer) -> None:
    """They take turns: the second executes what the first has accepted, and the first is asked to stop it."""
    async with deployed(valkey, {"HANG": "1"}, {"HANG": "1"}) as deployment:
        page = await deployment.page()
        await page.ask("Hi")
        await page.client.until(target="agentMessage")

        cancel = await page.http.post(f"/api/agents/Robot/cancel?thread_id={page.thread}")

        assert cancel.status_code == 202
        assert await page.ends() == ["cancelled"]
        state = await deployment.platform.entity_state("dafx-Robot", page.thread)
        remembered = state["data"]["conversationHistory"][-1]["messages"][0]["contents"][0]["text"]
        assert [remembered] == list(page.answers().values()) == ["Half of"]


async def test_without_history_workers_hand_runs_over(valkey: ValkeyServer) -> None:
    """One accepts, another executes: each run has one end, callers get their answers, and no bound fills up."""
    async with deployed(valkey, {}, {}, STREAM_HISTORY="none", STREAM_QUEUE_TIMEOUT_S="1") as deployment:
        page = await deployment.page()
        for turn in range(1, 13):
            url = f"/api/agents/Robot/run?thread_id={page.thread}"
            reply = await page.http.post(url, json={"message": str(turn)})
            assert (reply.status_code, reply.json().get("response")) == (200, f"{2 * turn - 1} {turn}")
        await deployment.platform.idle()

        assert await page.ends(12) == ["completed"] * 12
        assert [event.target for event in page.client.received].count("userMessage") == 12
        cancel = await page.http.post(f"/api/agents/Robot/cancel?thread_id={page.thread}")
        assert cancel.status_code == 409
