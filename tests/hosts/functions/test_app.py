"""What the app is made of, and what of the framework's own stays."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func
import pytest
from agent_framework import WorkflowBuilder
from agent_framework_azurefunctions import AgentFunctionApp
from agent_framework_durabletask import RunRequest, run_agent_coroutine

from streamsink.core.auth_settings import Auth
from streamsink.core.errors import SettingsError
from streamsink.core.settings import Settings
from streamsink.hosts import paths
from streamsink.hosts.functions import StreamFunctionApp
from streamsink.hosts.functions.agent import EntityAgent
from tests.hosts.contract_checking import assert_error
from tests.hosts.support import NO_WAIT, Model, make_agent

from .support import on_agent_loop, running_site

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent_framework import Message

    from streamsink.demo.scripted import Reply
    from tests.functions_platform import FunctionsPlatform

KEY = "k" * 40


def triggers(platform: FunctionsPlatform, kind: str) -> dict[str, dict[str, Any]]:
    return {name: dict(each.trigger) for name, each in platform.functions.items() if each.trigger["type"] == kind}


def test_the_frameworks_parameters_keep_their_names_and_places() -> None:
    """An existing app changes its class name, and nothing else (agent-framework-azurefunctions 1.0.0b260922)."""
    theirs = list(inspect.signature(AgentFunctionApp.__init__).parameters.values())
    ours = list(inspect.signature(StreamFunctionApp.__init__).parameters.values())

    assert [(each.name, each.default) for each in ours[: len(theirs)]] == [(each.name, each.default) for each in theirs]
    assert {each.kind for each in ours[len(theirs) :]} == {inspect.Parameter.KEYWORD_ONLY}


@on_agent_loop
async def test_every_path_of_the_api_is_a_function_without_a_key() -> None:
    """A browser has none. The framework's own run and health routes are not there."""
    async with running_site(enable_mcp_tool_trigger=True) as site:
        api = (await site.app._parts.get()).api
        assert {route.path for route in api.routes} == set(paths.PATHS)

        https = triggers(site.platform, "httpTrigger")
        assert all(name.startswith("streamsink-") for name in https)
        assert {trigger["authLevel"] for trigger in https.values()} == {"ANONYMOUS"}
        assert {trigger["route"] for trigger in https.values()} == {
            *(path.removeprefix("/api/").replace("{path:path}", "{*path}") for path in paths.PATHS),
            "agent/{*rest}",
            "agents/{*rest}",
        }
        assert list(triggers(site.platform, "entityTrigger")) == ["dafx-Robot"]
        assert list(triggers(site.platform, "timerTrigger")) == ["streamsink-sweep"]


@on_agent_loop
async def test_without_a_health_check_there_is_none() -> None:
    async with running_site(enable_health_check=False) as site:
        assert (await site().get("/api/health")).status_code == 404
        assert (await site().get("/api/ready")).status_code == 200


@on_agent_loop
async def test_agents_are_offered_as_the_app_and_its_flags_say() -> None:
    def extend(app: Any) -> None:
        app.add_agent(make_agent(name="Hidden"), enable_http_endpoint=False)
        app.add_agent(make_agent(name="Step"), entity_id="flow-Step")
        app.add_agent(make_agent(name="Robot"))  # again

    async with running_site(extend=extend) as site:
        thread = await site.thread()

        assert await site.ask(thread) == "Hello there"
        for name in ("Hidden", "Step", "flow-Step"):
            assert assert_error(await site.run(thread, agent=name), 404).endswith(": Robot")
        assert 'content="Robot"' in (await site().get("/api/index")).text
        assert set(site.app.agents) == {"Robot", "Hidden", "flow-Step"}


@on_agent_loop
async def test_an_app_may_offer_some_agents_only() -> None:
    def extend(app: Any) -> None:
        app.add_agent(make_agent(name="Shown"), enable_http_endpoint=True)

    async with running_site(enable_http_endpoints=False, extend=extend) as site:
        assert await site.ask(await site.thread(), agent="Shown") == "Hello there"
        assert_error(await site.run(await site.thread()), 404)


@on_agent_loop
async def test_agents_need_names_that_urls_carry() -> None:
    async with running_site() as site:
        with pytest.raises(SettingsError):
            site.app.add_agent(make_agent(name="a/b"))
        with pytest.raises(ValueError, match="name"):
            site.app.add_agent(object())  # type: ignore[arg-type]
        with pytest.raises(SettingsError, match="one hears what was said in another"):
            site.app.add_agent(WorkflowBuilder(start_executor=make_agent()).build().as_agent(name="Flow"))


@on_agent_loop
async def test_a_back_office_shows_its_key_as_callers_of_functions_do() -> None:
    """In the header or in the query; another key there is the platform's business."""
    settings = Settings(auth=Auth(service_keys=(KEY,)))
    async with running_site(settings=settings, identify=None) as site:
        client, url = site(None), "/api/agents/Robot/run?thread_id=order-66"
        ways: list[dict[str, Any]] = [{"headers": {"x-functions-key": KEY}}, {"params": {"code": KEY}}]
        for way in ways:
            headers = {**NO_WAIT, **way.get("headers", {})}
            target = f"{url}&code={KEY}" if "params" in way else url
            assert (await client.post(target, json={"message": "Hi"}, headers=headers)).status_code == 202
        other = await client.post(url, json={"message": "Hi"}, headers={"x-functions-key": "w" * 40})

        assert_error(other, 403, "forbidden")
        await site.done("order-66", 2)


@on_agent_loop
async def test_functions_of_ones_own_demand_a_key_beside_ours_that_do_not() -> None:
    """The app's level is theirs; a durable client comes to them as before."""

    def extend(app: Any) -> None:
        @app.route(route="own", methods=["GET"])  # type: ignore[untyped-decorator]
        @app.durable_client_input(client_name="client")  # type: ignore[untyped-decorator]
        async def own(req: func.HttpRequest, client: Any) -> func.HttpResponse:
            entity = df.EntityId("dafx-Robot", req.params["thread"])
            return func.HttpResponse(str((await client.read_entity_state(entity)).entity_exists))

    async with running_site(extend=extend) as site:
        thread = await site.thread()
        assert await site.ask(thread) == "Hello there"
        await site.platform.idle()  # the caller has its answer before the entity's state is kept

        url, key = "/api/own", {"x-functions-key": site.platform.function_key}
        for params, exists in (({"thread": thread}, "True"), ({"thread": "unknown"}, "False")):
            assert (await site().get(url, params=params)).status_code == 401
            assert (await site().get(url, params=params, headers=key)).text == exists


@on_agent_loop
async def test_live_streams_and_the_gateway_are_elsewhere() -> None:
    async with running_site() as site:
        url = f"/api/agent/threads/{await site.thread()}/events"

        hint = assert_error(await site().get(url, headers={"accept": "text/event-stream"}), 406, "not_acceptable")

        assert "join a group" in hint
        assert (await site().get("/client/?hub=streamsink")).status_code == 404


@on_agent_loop
async def test_deleting_makes_the_entities_forget() -> None:
    """Those that remember something; none is made for it."""
    async with running_site(make_agent(), make_agent(name="Other")) as site:
        thread, unknown = await site.thread(), await site.thread()
        await site.ask(thread, "remember me")

        for each in (thread, unknown):
            assert (await site().delete(f"/api/agent/threads/{each}")).status_code == 204
        await site.platform.idle()

        assert site.platform.entity_keys() == [("dafx-robot", thread)]
        assert await site.state(thread) == []


@on_agent_loop
async def test_deleting_forgets_what_is_not_kept_yet() -> None:
    """The answer is there, and the platform has still to keep what the entity, its first time, has learnt."""
    async with running_site() as site:
        thread = await site.thread()
        with site.platform.faults.held_outcomes():
            await site.ask(thread, "remember me")
            assert (await site().delete(f"/api/agent/threads/{thread}")).status_code == 204
        await site.platform.idle()

        assert await site.state(thread) == []


@on_agent_loop
async def test_a_run_of_a_deleted_thread_asks_no_model() -> None:
    """Its operation comes after the tombstone."""
    model = Model()
    async with running_site(make_agent(model)) as site:
        thread = await site.thread()
        with site.platform.faults.held_batches():
            await site.run(thread)
            await site.sink.delete(thread)
        await site.platform.idle()

        assert model.heard == []


@on_agent_loop
async def test_other_operations_are_the_frameworks() -> None:
    async with running_site() as site:
        thread = await site.thread()
        await site.ask(thread)

        await site.platform.signal("dafx-Robot", thread, "reset")
        await site.platform.idle()

        assert await site.state(thread) == []


@on_agent_loop
async def test_runs_that_cannot_be_published_are_left_to_the_framework() -> None:
    """Their entity's key is no thread id, or their request has no id."""
    asked: list[str] = []

    def script(messages: Sequence[Message], options: Mapping[str, Any]) -> Reply:
        asked.append(messages[-1].text)
        return []

    async with running_site(make_agent(script)) as site:
        await site.platform.signal("dafx-Robot", "a b", "run", {"message": "Hi", "correlationId": "c"})
        await site.platform.signal("dafx-Robot", "t", "run", {"message": "Hi"})
        await site.platform.idle()

        assert asked == ["Hi"]
        assert await site.events("t") == []


def test_the_framework_ignores_what_we_add_to_its_request() -> None:
    request = RunRequest(message="Hi", correlation_id="c1").to_dict()

    assert RunRequest.from_dict({**request, "streamsink": {"approvalId": "a"}}).to_dict() == request


@on_agent_loop
async def test_the_sweep_needs_nobody_else() -> None:
    async with running_site() as site:
        thread = await site.thread()
        sink = site.sink
        await sink.accept_run(thread, _waiting("r1"))
        await site.platform.fire("streamsink-sweep")

        assert await site.done(thread) == [("failed", "queue_timeout")]


def _waiting(name: str) -> Any:
    from streamsink.core.runs import RunRequest as Run

    return Run(correlation_id=name, agent_name="Robot", queue_timeout_s=0)


@on_agent_loop
async def test_a_dead_store_does_not_fail_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamsink.core.errors import UnavailableError

    async def broken() -> Any:
        raise UnavailableError("the store cannot be reached")

    async with running_site() as site:
        monkeypatch.setattr(site.sink, "sweep", broken)
        await site.platform.fire("streamsink-sweep")


def test_the_agent_is_left_alone_outside_its_entity() -> None:
    """A workflow, or the app's own code, may run it as it is."""
    inner = make_agent("Plain")
    agent = EntityAgent(inner, time_limit_s=1, keep_rerun=False)

    async def both() -> list[str]:
        whole = await agent.run("Hi", session=agent.create_session(session_id="s"))
        streamed = [update.text async for update in agent.run("Hi", stream=True)]
        return [whole.text, "".join(streamed)]

    assert run_agent_coroutine(both()) == ["Plain", "Plain"]
    assert agent.get_session("kept").service_session_id == "kept"
    assert (agent.id, agent.name, agent.description) == (inner.id, inner.name, inner.description)


def test_without_the_extra_it_says_what_to_install() -> None:
    code = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "agent_framework_azurefunctions" else find(name, *more)
import streamsink.hosts.functions
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "pip install 'streamsink[functions]'" in done.stderr
