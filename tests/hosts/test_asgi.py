"""The ASGI application around the API."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from streamsink.core.errors import SettingsError
from streamsink.core.settings import Settings, Times
from streamsink.demo.scripted import Pause, Text
from streamsink.hosts.asgi import StreamApp
from streamsink.testing.clock import virtual_time

from .attempt_support import memory_sink
from .contract_checking import assert_error
from .support import BASE, Gate, Model, call_asgi, ends, events_of, make_agent, named, running_site

SECRETLESS = Settings(times=Times(drain_s=0))


def websocket(path: str, **more: Any) -> dict[str, Any]:
    return {"type": "websocket", "path": path, "query_string": b"", "headers": [], "extensions": {}, **more}


STARTUP, SHUTDOWN = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}


@virtual_time
async def test_alone_it_runs_with_the_servers_lifespan() -> None:
    app = StreamApp([make_agent()], settings=SECRETLESS)

    sent = await call_asgi(app, {"type": "lifespan"}, STARTUP, SHUTDOWN)

    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@virtual_time
async def test_what_is_wrong_at_the_start_is_said() -> None:
    app = StreamApp([make_agent()], settings=Settings(history="nowhere"))

    [failed] = await call_asgi(app, {"type": "lifespan"}, STARTUP)

    assert failed["type"] == "lifespan.startup.failed"
    assert "STREAM_HISTORY" in failed["message"]


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_QUEUE_LIMIT", "many")

    with pytest.raises(SettingsError):
        StreamApp([make_agent()])


@pytest.mark.parametrize(
    "agents",
    [[make_agent(), make_agent()], [make_agent(name="a/b")], {"größe": make_agent()}, {"": make_agent()}],
    ids=["twice", "no name", "not ASCII", "empty"],
)
def test_agents_that_nobody_could_ask_for_are_refused(agents: Any) -> None:
    """Before anybody has: one of two with the same name would be lost in silence."""
    with pytest.raises(SettingsError, match="AGENTS"):
        StreamApp(agents, settings=Settings())


@virtual_time
async def test_a_mapping_names_the_agents() -> None:
    app = StreamApp({"First": make_agent(), "Second": make_agent()}, settings=SECRETLESS, identify=named)
    async with app.running():
        scope = {"type": "http", "method": "GET", "path": "/api/index", "scheme": "http", "query_string": b""}
        request = {"type": "http.request", "body": b"", "more_body": False}
        sent = await call_asgi(app, {**scope, "headers": [(b"host", b"host.test")]}, request)

        assert b'content="First,Second"' in sent[1]["body"]


@virtual_time
async def test_the_sink_is_given_for_publishing_of_ones_own() -> None:
    app = StreamApp([make_agent()], settings=SECRETLESS)
    async with app.running() as sink:
        terminal = await sink.publish("t", ["One", " two"])

    assert terminal.status == "completed"


@virtual_time
async def test_leaving_ends_runs_visibly_and_refuses_new_ones() -> None:
    gate = Gate()
    settings = Settings(times=Times(drain_s=2))
    async with running_site(make_agent(Model([Text("Half"), Pause(gate)])), settings=settings) as site:
        thread = await site.thread()
        await site.run(thread)
        await gate.reached.wait()
        late: list[Any] = []

        async def during() -> None:
            await asyncio.sleep(1)
            late.append(await site.run(thread))

        task = asyncio.create_task(during(), name="during")
    await task
    assert_error(late[0], 503, "unavailable")


@virtual_time
async def test_draining_twice_is_no_error() -> None:
    app = StreamApp([make_agent()], settings=SECRETLESS)
    await app.drain()  # not running yet
    async with app.running():
        await app.drain()
        await app.drain()


@virtual_time
async def test_a_drained_host_is_not_ready() -> None:
    made: list[StreamApp] = []

    def remember(app: StreamApp) -> StreamApp:
        made.append(app)
        return app

    async with running_site(settings=SECRETLESS, wrap=remember) as site:
        await made[0].drain()

        assert_error(await site(None).get("/api/ready"), 503, "unavailable")
        assert (await site(None).get("/api/health")).status_code == 200


@virtual_time
async def test_runs_have_their_end_when_the_host_is_gone() -> None:
    gate = Gate()
    async with memory_sink() as sink:
        app = StreamApp([make_agent(Model([Pause(gate)]))], settings=SECRETLESS, identify=named, sink=sink)
        async with app.running():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as http:
                headers = {"x-user": "ann", "x-wait-for-response": "false"}
                reply = await http.post("/api/agents/Robot/run", content="Hi", headers=headers)
            await gate.reached.wait()

        assert ends(await events_of(sink, reply.json()["thread_id"])) == [("failed", "shutdown")]


@virtual_time
async def test_a_websocket_to_nowhere_is_refused() -> None:
    """With a status where the server can send one."""
    app = StreamApp([make_agent()], settings=SECRETLESS)
    connect = {"type": "websocket.connect"}
    denial: dict[str, Any] = {"websocket.http.response": {}}

    sent = await call_asgi(app, websocket("/client", extensions=denial), connect)
    assert sent[0]["status"] == 503
    async with app.running():
        [closed] = await call_asgi(app, websocket("/api/nothing"), connect)
        assert closed["type"] == "websocket.close"
        sent = await call_asgi(app, websocket("/api/health", extensions=denial), connect)
        assert (sent[0]["type"], sent[0]["status"]) == ("websocket.http.response.start", 404)
        assert b"not_found" in sent[1]["body"]


@virtual_time
async def test_a_backend_may_hold_its_clients_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_site() as site:
        monkeypatch.setattr(type(site.sink), "ability", lambda self, kind: None)
        async with running_site() as elsewhere:
            assert "elsewhere" in assert_error(await elsewhere(None).get("/client/negotiate"), 404)
            url = f"/api/agent/threads/{await elsewhere.thread()}/events"
            hint = assert_error(await elsewhere().get(url, headers={"accept": "text/event-stream"}), 406)
            assert "poll" in hint
            assert (await elsewhere().get(url)).status_code == 200
