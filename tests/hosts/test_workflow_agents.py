"""Workflows as agents, as docs/publishing.md offers them, and what becomes of a workflow that asks a person."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from agent_framework import Executor, Message, WorkflowBuilder, WorkflowContext, handler, response_handler, tool

from streamsink.core.errors import SettingsError
from streamsink.core.settings import Settings
from streamsink.demo.scripted import Pause, Text, ToolCall
from streamsink.hosts.asgi import StreamApp
from streamsink.testing.clock import virtual_time

from .contract_control import approve, asked
from .support import Gate, Model, make_agent, running_site, said

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_framework import Workflow

PAGE = Path(__file__).parents[2] / "docs" / "publishing.md"


def letters(build: Callable[[], Workflow]) -> Any:
    """The agent that the page describes."""
    [code] = re.findall(r"```python\n([^`]*class Letters[^`]*)```", PAGE.read_text("utf-8"))
    names: dict[str, Any] = {"build": build}
    exec(code, names)
    return names["Letters"]()


def one_agent(model: Model, **options: Any) -> Callable[[], Workflow]:
    agent = make_agent(model, **options)
    return lambda: WorkflowBuilder(start_executor=agent).build()


@tool(approval_mode="always_require")
def send(name: str) -> str:
    """Send a letter."""
    return f"sent to {name}"


class Reviewer(Executor):
    """Asks a person before it answers."""

    @handler
    async def review(self, messages: list[Message], context: WorkflowContext[Any, str]) -> None:
        await context.request_info(messages[-1].text, bool)

    @response_handler
    async def answered(self, question: str, answer: bool, context: WorkflowContext[Any, str]) -> None:
        raise NotImplementedError


@virtual_time
async def test_conversations_are_apart_and_go_on() -> None:
    model = Model([Text("One")], [Text("Two")], [Text("Three")])
    async with running_site(letters(one_agent(model))) as site:
        ann, bob = await site.thread(), await site.thread()

        answers = [await site.ask(thread, "Hi", agent="Letters") for thread in (ann, bob, ann)]

        assert answers == ["One", "Two", "Three"]
        assert model.heard == [["user: Hi"], ["user: Hi"], ["user: Hi", "assistant: One", "user: Hi"]]
        assert said(await site.events(ann)) == "OneThree"


@virtual_time
async def test_conversations_may_run_at_once() -> None:
    gates = first, second = Gate(), Gate()
    model = Model([Pause(first), Text("Done")], [Pause(second), Text("Done")])
    async with running_site(letters(one_agent(model))) as site:
        threads = [await site.thread(), await site.thread()]
        for thread in threads:
            await site.run(thread, agent="Letters")
        await asyncio.gather(*(gate.reached.wait() for gate in gates))
        for gate in gates:
            gate.opened.set()

        assert [await site.done(thread) for thread in threads] == [[("completed", None)]] * 2


@virtual_time
async def test_a_workflow_does_not_wait_for_an_approval() -> None:
    model = Model([ToolCall("send", {"name": "Bo"})], [Text("Anew")])
    async with running_site(letters(one_agent(model, tools=[send]))) as site:
        thread = await site.thread()
        await site.ask(thread, agent="Letters")

        reply = await approve(site, thread, await asked(site, thread), agent="Letters")

        assert (reply.status_code, await site.done(thread)) == (404, [("completed", None)])
        assert await site.ask(thread, agent="Letters") == "Anew"


@virtual_time
async def test_a_workflow_does_not_wait_for_information() -> None:
    async with running_site(letters(lambda: WorkflowBuilder(start_executor=Reviewer(id="reviewer")).build())) as site:
        thread = await site.thread()
        for _ in range(2):
            assert await site.ask(thread, "Send it?", agent="Letters") == ""

        events = await site.events(thread)
        assert [data["name"] for target, data in events if target == "agentToolCall"] == ["request_info"] * 2
        assert "agentApproval" not in {target for target, _ in events}


async def test_the_frameworks_own_agent_is_one_conversation_for_all() -> None:
    """Why it is refused: should this fail one day, the page can say something simpler."""
    model = Model([Text("One")], [Text("Two")])
    agent = one_agent(model)().as_agent(name="Letters")

    for prompt in ("a secret", "Hi"):
        await agent.run(prompt, session=agent.create_session())

    assert model.heard[1] == ["user: a secret", "assistant: One", "user: Hi"]


def test_the_frameworks_own_agent_is_refused() -> None:
    agent = one_agent(Model([]))().as_agent(name="Letters")

    with pytest.raises(SettingsError, match=r"'Letters' one hears what was said in another.*docs/publishing\.md"):
        StreamApp([agent], settings=Settings())
