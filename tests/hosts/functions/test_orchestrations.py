"""Agents that somebody else asks are streamed, too: orchestrations, MCP clients, the app's own functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import azure.functions as func
import pytest
from agent_framework_durabletask import run_agent_coroutine

from streamsink.core.errors import ConflictError, InvalidRequestError
from streamsink.core.identity import User
from streamsink.demo.scripted import Text
from tests.hosts.contract_checking import assert_error
from tests.hosts.support import Model, make_agent

from .support import on_agent_loop, running_site

if TYPE_CHECKING:
    from collections.abc import Generator

    from streamsink.hosts.functions import StreamFunctionApp

ANN = User(subject="ann")


def ask_twice(app: StreamFunctionApp) -> None:
    @app.orchestration_trigger(context_name="context")
    def ask_twice(context: Any) -> Generator[Any, Any, list[str]]:
        robot = app.get_agent(context, "Robot")
        session = robot.create_session()
        first = yield robot.run("One?", session=session)
        second = yield robot.run("Two?", session=session)
        return [session.durable_session_id.key if session.durable_session_id else "", first.text, second.text]


@on_agent_loop
async def test_an_orchestrations_agents_stream(caplog: pytest.LogCaptureFixture) -> None:
    """Each turn is a run; its thread is nobody's, until it is registered for its owner."""
    model = Model([Text("First")], [Text("Second")])
    async with running_site(make_agent(model), extend=ask_twice) as site:
        status = await site.platform.orchestrate("ask_twice")
        assert status["output"][1:] == ["First", "Second"]
        ((_, thread),) = site.platform.entity_keys()
        url = f"/api/agent/threads/{thread}/events"

        assert_error(await site().get(url), 403)
        await site.app.register(thread, ANN)

        assert (await site().get(url)).status_code == 200
        assert_error(await site("bob").get(url), 403)
        assert await site.done(thread, 2) == [("completed", None)] * 2
        said = [data["text"] for target, data in await site.events(thread) if target in ("userMessage", "agentMessage")]
        assert said == ["One?", "First", "Two?", "Second"]
        assert model.heard[1] == ["user: One?", "assistant: First", "user: Two?"]
        assert "created_at" not in caplog.text  # the entity warns of responses that do not say when


@on_agent_loop
async def test_an_orchestration_hears_of_a_failure_once() -> None:
    model = Model([ConnectionError()], [Text("Second")])
    async with running_site(make_agent(model), extend=ask_twice) as site:
        await site.platform.orchestrate("ask_twice")

        ((_, thread),) = site.platform.entity_keys()
        assert await site.done(thread, 2) == [("failed", "agent_error"), ("completed", None)]


@on_agent_loop
async def test_a_registered_thread_belongs_to_one() -> None:
    async with running_site() as site:
        for _ in range(2):
            await site.app.register("session-1", ANN)
        with pytest.raises(ConflictError):
            await site.app.register("session-1", User(subject="bob"))
        with pytest.raises(InvalidRequestError):
            await site.app.register("a/b", ANN)


@on_agent_loop
async def test_a_message_that_is_too_long_to_show_is_answered_all_the_same() -> None:
    async with running_site() as site:
        run = {"message": "x" * 200_000, "correlationId": "c1"}
        await site.platform.signal("dafx-Robot", "t", "run", run)

        assert await site.done("t") == [("completed", None)]
        assert (await site.events("t"))[0][1]["text"] == {"omitted": 200_002}


@on_agent_loop
async def test_an_mcp_client_is_answered_and_the_run_streams() -> None:
    async with running_site(enable_mcp_tool_trigger=True, poll_interval_seconds=0.01, max_poll_retries=1000) as site:
        assert await site.platform.call_tool("Robot", query="hello", sessionId="t") == "Hello there"

        assert await site.done("t") == [("completed", None)]


@on_agent_loop
async def test_functions_of_ones_own_know_their_callers_and_reach_entities() -> None:
    """On the worker's loop, with the same durable client that our calls use: no client crosses loops."""

    def extend(app: Any) -> None:
        @app.route(route="own", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)  # type: ignore[untyped-decorator]
        @app.durable_client_input(client_name="client")  # type: ignore[untyped-decorator]
        async def own(req: func.HttpRequest, client: Any) -> func.HttpResponse:
            user = await app.user(req)
            if user is None:
                return func.HttpResponse(status_code=401)
            await app.register("mine", user)
            instance = await client.start_new("ask_twice")
            return func.HttpResponse(json.dumps({"subject": user.subject, "instance": instance}))

        ask_twice(app)

    async with running_site(make_agent("Yes"), extend=extend) as site:
        await site.ask(await site.thread())
        reply = await site().post("/api/own")
        await site.ask(await site.thread())
        await site.platform.idle()

        assert reply.json()["subject"] == "ann"
        assert (await site(None).post("/api/own")).status_code == 401
        assert (await site().get("/api/agent/threads/mine/events")).status_code == 200


def test_the_agents_loop_is_not_a_tests() -> None:
    """Ours lives where the framework runs agents (agent-framework-durabletask 1.0.0b260922)."""

    async def name() -> str:
        import threading

        return threading.current_thread().name

    assert run_agent_coroutine(name()) == "dafx-agent-loop"
