"""What a host answers where no history is kept (STREAM_HISTORY=none, docs/history.md)."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from streamsink.core.delivery import ConnectInfo, Subscribes
from streamsink.core.events import Terminal
from streamsink.core.runs import RunRequest
from streamsink.core.settings import Settings, Times
from streamsink.demo.scripted import Text
from streamsink.hosts.asgi import StreamApp
from streamsink.hosts.ended import ended_runs
from streamsink.hosts.live import follow_from_now
from streamsink.opening import open_sink
from streamsink.testing.clock import virtual_runtime, virtual_time
from streamsink.testing.serving import serving
from streamsink.testing.signalr import signalr_client

from .contract_checking import assert_error
from .support import Model, make_agent, named, running_site, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from streamsink.core.sink import StreamSink

NONE = Settings(history="none", times=Times(drain_s=0))
STREAM = {"accept": "text/event-stream"}


@asynccontextmanager
async def unkept_sink() -> AsyncIterator[StreamSink]:
    async with open_sink(Settings(history="none"), environ={}, runtime=virtual_runtime()) as sink:
        yield sink


def live(sink: StreamSink) -> AsyncGenerator[bytes, None]:
    source = sink.ability(Subscribes)
    assert source is not None
    return follow_from_now(sink, source, "t")


@pytest.mark.service
async def test_a_join_answers_that_there_is_no_replay() -> None:
    """Whatever it asks for, an event's own place too; without ``after`` it is not spoken of."""
    app = StreamApp([make_agent()], settings=NONE, identify=named)
    headers = {"x-user": "ann"}
    async with serving(app, lifespan=True) as url, httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as http:
        told = (await http.post("/api/agent/negotiate")).json()
        async with signalr_client(ConnectInfo(told["url"], told["accessToken"])) as client:
            thread = (await http.post("/api/agent/create-thread")).json()["thread_id"]
            body = {"group": thread, "connectionId": client.connection_id}
            joined = {"status": "joined", "group": thread}
            assert (await http.post("/api/agent/join-group", json=body)).json() == joined

            await http.post(f"/api/agents/Robot/run?thread_id={thread}", content="Hi")
            done = (await client.until(1, target="agentDone"))[0].data
            assert done["epoch"] == f"{done['correlationId']}.{done['attempt']}"
            for after in ("", "1700:42", f"{done['epoch']}:{done['seq']}"):
                reply = await http.post("/api/agent/join-group", json={**body, "after": after})
                assert (reply.status_code, reply.json()) == (200, {**joined, "replay": None, "ended": []})

            asked = {**body, "after": "", "open": ["unknown", done["correlationId"]]}
            [ended] = (await http.post("/api/agent/join-group", json=asked)).json()["ended"]
            assert (ended["target"], ended["data"]["attempt"]) == ("agentDone", done["attempt"])
            assert (ended["data"]["status"], ended["data"]["text"]) == ("completed", "Hello there")
            for wrong in ("r1", ["a/b"], ["r"] * 51):
                reply = await http.post("/api/agent/join-group", json={**asked, "open": wrong})
                assert_error(reply, 400, "invalid_request")


@virtual_time
async def test_how_runs_ended_is_told_without_what_nobody_knows() -> None:
    async with unkept_sink() as sink:
        for name, terminal in (
            ("failed", Terminal("failed", "agent_error")),
            ("foreign", Terminal("completed", response=b"not ours")),
        ):
            async with sink.run("t", request=RunRequest(correlation_id=name, agent_name="a")) as run:
                await run.finish(terminal.status, code=terminal.code, response=terminal.response)
        await sink.accept_run("t", RunRequest(correlation_id="open", agent_name="a"))

        told = msgspec.json.decode(msgspec.json.encode(await ended_runs(sink, "t", ["failed", "open", "foreign"])))

    assert [event["data"]["correlationId"] for event in told] == ["failed", "foreign"]
    assert told[0]["data"]["error"]["code"] == "agent_error"
    assert (told[1]["data"]["status"], "text" in told[1]["data"]) == ("completed", False)


@virtual_time
async def test_a_replay_that_is_asked_for_is_not_found_with_a_hint() -> None:
    async with running_site(settings=NONE) as site:
        thread = await site.thread()
        assert await site.ask(thread) == "Hello there"
        url = f"/api/agent/threads/{thread}/events"

        for after in ("", "1:1", "nonsense"):
            message = assert_error(await site().get(url, params={"after": after}), 404, "no_history")
            assert "text/event-stream" in message
        assert_error(await site("bob").get(url), 403)
        await site().delete(f"/api/agent/threads/{thread}")
        assert_error(await site().get(url), 410, "thread_deleted")
        assert_error(await site().get(url, headers=STREAM), 410, "thread_deleted")


@virtual_time
async def test_readiness_says_that_nothing_is_kept() -> None:
    async with running_site(settings=NONE) as site:
        reply = await site(None).get("/api/ready")

        assert (reply.status_code, reply.json()) == (200, {"status": "ready", "history": "none"})


@virtual_time
async def test_the_same_request_again_is_the_same_run() -> None:
    """While the run is known; its response is stored for that."""
    async with running_site(make_agent(Model([Text("once")])), settings=NONE) as site:
        thread = await site.thread()
        replies = [await site.run(thread, idempotency_key="k", x_wait_for_response="true") for _ in range(2)]

        assert replies[0].json() == replies[1].json()
        assert replies[0].json()["response"] == "once"


@pytest.mark.service
async def test_a_live_stream_begins_now() -> None:
    """Over HTTP, whatever the last id was; nothing is followed any more once the client is gone."""
    sink = open_sink(NONE, environ={})
    app = StreamApp([make_agent()], settings=NONE, identify=named, sink=sink)
    headers = {"x-user": "ann"}
    async with serving(app, lifespan=True) as url, httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as http:
        thread = (await http.post("/api/agent/create-thread")).json()["thread_id"]
        last = {**STREAM, "last-event-id": "r1.1700:3"}
        url = f"/api/agent/threads/{thread}/events"
        told: list[str] = []
        async with http.stream("GET", url, headers=last) as reply:
            incoming: Any = reply.aiter_lines()
            async with aclosing(incoming) as lines:
                assert [await anext(lines) for _ in range(3)] == ["event: replay", "data: null", ""]
                await http.post(f"/api/agents/Robot/run?thread_id={thread}", content="Hi")
                while "event: agentDone" not in told:
                    told.append(await anext(lines))
        delivery: Any = sink.ability(Subscribes)
        async with asyncio.timeout(10):
            await until(lambda: thread not in delivery.hub._groups)
    await sink.aclose()

    assert [line for line in told if line.startswith("event: ")][:2] == ["event: userMessage", "event: agentStarted"]


@virtual_time
async def test_who_follows_in_silence_notices_a_producer_that_has_died() -> None:
    async with unkept_sink() as sink:
        await sink.accept_run("t", RunRequest(correlation_id="r", agent_name="a"))
        await sink.begin_attempt("t", "r", lease_s=5)
        stream = live(sink)

        assert await anext(stream) == b"event: replay\ndata: null\n\n"
        assert await anext(stream) == b": \n\n"
        assert b"producer_lost" in await anext(stream)
        assert asyncio.get_running_loop().time() == 15
        await stream.aclose()


@virtual_time
async def test_a_stream_of_a_deleted_thread_ends() -> None:
    async with unkept_sink() as sink:
        stream = live(sink)
        await anext(stream)
        await sink.delete("t")

        assert [part async for part in stream] == []
