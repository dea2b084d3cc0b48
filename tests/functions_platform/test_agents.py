"""Microsoft's plain `AgentFunctionApp` on the emulated platform: proof that the emulation holds what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from agent_framework import Agent
from agent_framework_azurefunctions import AgentFunctionApp

from streamsink.demo.scripted import ScriptedChatClient, Text
from tests.functions_platform import FunctionsPlatform, InProcessWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from agent_framework import Message

    from streamsink.demo.scripted import Reply


def echo(messages: Sequence[Message], options: Mapping[str, Any]) -> Reply:
    """Say how many messages the model was given, and the last one."""
    return [Text(f"{len(messages)} {messages[-1].text}")]


def create_app(**options: Any) -> AgentFunctionApp:
    agent = Agent(client=ScriptedChatClient(echo, token_interval_s=0.0), name="Echo")
    return AgentFunctionApp(agents=[agent], poll_interval_seconds=0.01, max_poll_retries=1000, **options)


@pytest.fixture
async def platform() -> AsyncIterator[FunctionsPlatform]:
    async with FunctionsPlatform(InProcessWorker(create_app(enable_mcp_tool_trigger=True))) as platform:
        yield platform


@pytest.fixture
async def http(platform: FunctionsPlatform) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"x-functions-key": platform.function_key}
    async with httpx.AsyncClient(base_url=platform.url, headers=headers, timeout=20) as client:
        yield client


async def test_a_run_answers_and_the_next_one_remembers(http: httpx.AsyncClient) -> None:
    first = await http.post("/api/agents/Echo/run?thread_id=t1", json={"message": "hello"})
    second = await http.post("/api/agents/Echo/run?thread_id=t1", json={"message": "again"})

    assert (first.status_code, first.json()["response"]) == (200, "1 hello")
    assert (second.status_code, second.json()["response"]) == (200, "3 again")
