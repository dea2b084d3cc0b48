"""An app that exists changes the name of its class, and everything it had works as before."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from agent_framework_azurefunctions import AgentFunctionApp

from streamsink.hosts.functions import StreamFunctionApp
from tests.functions_platform import FunctionsPlatform, InProcessWorker, ProcessWorker
from tests.hosts.support import ends, events_of

from .existing import Noted, existing_app
from .support import environment, on_agent_loop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SCRIPT: Final = Path(__file__).parent / "scripts" / "existing_app.py"
SECRET: Final = {"STREAM_SECRET": "s" * 40}
CLASSES: Final = pytest.mark.parametrize("make", [AgentFunctionApp, StreamFunctionApp])


@asynccontextmanager
async def running(make: Any, noted: Noted) -> AsyncIterator[tuple[Any, FunctionsPlatform]]:
    async with environment(**SECRET), AsyncExitStack() as stack:
        app = existing_app(make, noted)
        if isinstance(app, StreamFunctionApp):
            stack.push_async_callback(app.aclose)
        yield app, await stack.enter_async_context(FunctionsPlatform(InProcessWorker(app)))


async def post(platform: FunctionsPlatform, path: str, content: str, *, key: str | None) -> httpx.Response:
    headers = {} if key is None else {"x-functions-key": key}
    async with httpx.AsyncClient(base_url=platform.url, headers=headers, timeout=20) as http:
        return await http.post(path, content=content)


@CLASSES
@on_agent_loop
async def test_routes_orchestrations_and_callbacks_stay(make: Any) -> None:
    """The starter still demands the function key that it demanded."""
    noted = Noted()
    async with running(make, noted) as (_, platform):
        assert (await post(platform, "/api/ask", "Hi", key=None)).status_code == 401
        started = await post(platform, "/api/ask", "Hi", key=platform.function_key)
        status = await platform.ended(started.json()["id"])

        assert (status["runtimeStatus"], status["output"]) == ("Completed", "1 Hi")
        assert "".join(noted.updates) == "1 Hi"
        assert noted.responses == ["Robot: 1 Hi"]


@CLASSES
@on_agent_loop
async def test_workflows_stay(make: Any) -> None:
    """Their routes, and the answers of agents that hear each other's."""
    async with running(make, Noted()) as (_, platform):
        started = await post(platform, "/api/workflow/pair/run", "Hi", key=platform.function_key)
        status = await platform.ended(started.json()["instanceId"])

        assert (status["runtimeStatus"], status["output"]) == ("Completed", ["1 1 Hi"])


@on_agent_loop
async def test_agents_in_workflows_stream() -> None:
    """Each answer is a run of a thread that is named like the workflow's instance."""
    async with running(StreamFunctionApp, Noted()) as (app, platform):
        started = await post(platform, "/api/workflow/pair/run", "Hi", key=platform.function_key)
        await platform.ended(started.json()["instanceId"])
        (thread,) = {key for _, key in platform.entity_keys()}
        events = await events_of((await app._parts.get()).sink, thread)

        told = [data["agentName"] for target, data in events if target == "agentMessage"]
        assert sorted(set(told)) == ["pair-First", "pair-Second"]
        assert ends(events) == [("completed", None)] * 2


@CLASSES
@on_agent_loop
async def test_mcp_tools_stay(make: Any) -> None:
    async with running(make, Noted()) as (_, platform):
        assert await platform.call_tool("Robot", query="Hi", sessionId="s") == "1 Hi"


@pytest.mark.service
async def test_entities_keep_what_they_remember() -> None:
    """A worker of the old class asks first, one of the new class next, in the same session."""
    async with environment(**SECRET) as service, AsyncExitStack() as stack:
        settings = {**SECRET, "STREAM_BACKEND": "signalr", "AzureSignalRConnectionString": service.connection_string}
        old = ProcessWorker(SCRIPT, env=settings)
        platform = await stack.enter_async_context(FunctionsPlatform(old))
        assert (await platform.orchestrate("ask", "One"))["output"] == "1 One"

        await old.kill()
        await platform.add_worker(ProcessWorker(SCRIPT, env={**settings, "UPGRADED": "1"}))

        assert (await platform.orchestrate("ask", "Two"))["output"] == "3 Two"
        state = await platform.entity_state("dafx-Robot", "kept")
        assert len(state["data"]["conversationHistory"]) == 4
