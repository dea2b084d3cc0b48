"""The scripted chat client, seen through the real framework around it."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from agent_framework import Agent, AgentResponseUpdate, AgentSession, Message, tool

from streamsink.demo.scripted import (
    Pause,
    Reasoning,
    Reply,
    Script,
    ScriptedChatClient,
    Text,
    ToolCall,
    in_turn,
    tokens,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent_framework import Content

RAN: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    RAN.clear()


@tool
def add(a: int, b: int) -> str:
    """Add two numbers."""
    RAN.append("add")
    return str(a + b)


@tool
def fail(reason: str) -> str:
    """Fail."""
    raise RuntimeError(reason)


@tool(approval_mode="always_require")
def erase(name: str) -> str:
    """Erase something."""
    RAN.append(f"erase {name}")
    return f"Erased {name}"


async def no_sleep(seconds: float) -> None: ...


def agent(script: Script) -> Agent[Any]:
    numbers = count(1)
    client = ScriptedChatClient(script, sleep=no_sleep, new_id=lambda: f"id{next(numbers)}")
    return Agent(client=client, name="Robot", tools=[add, fail, erase])


async def stream(script: Script) -> list[AgentResponseUpdate]:
    return [update async for update in agent(script).run("Go", stream=True)]


def contents(updates: Sequence[AgentResponseUpdate], kind: str) -> list[Content]:
    return [content for update in updates for content in update.contents if content.type == kind]


@pytest.mark.parametrize(
    "text", ["", " ", "one", "one two", "  leading", "trailing \n", "# Head\n\n- **a:** b\n", "für  Ärger 🧭"]
)
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(tokens(text)) == text


def test_a_token_is_a_word_with_the_space_before_it() -> None:
    assert tokens("Two words.\n") == ["Two", " words.", "\n"]


async def test_text_arrives_word_by_word_in_one_message_that_usage_ends() -> None:
    updates = await stream(in_turn([Text("Hello, dear world.")]))

    assert [content.text for content in contents(updates, "text")] == ["Hello,", " dear", " world."]
    assert {(update.role, update.message_id, update.response_id) for update in updates} == {("assistant", "id1", "id2")}
    assert updates[-1].finish_reason == "stop"
    (usage,) = contents(updates[-1:], "usage")
    assert usage.usage_details == {"input_token_count": 1, "output_token_count": 3, "total_token_count": 4}


async def test_reasoning_is_not_part_of_the_answer() -> None:
    updates = await stream(in_turn([Reasoning("Let me see."), Text("Yes.")]))

    assert "".join(str(content.text) for content in contents(updates, "text_reasoning")) == "Let me see."
    assert "".join(update.text for update in updates) == "Yes."


async def test_a_tool_call_is_streamed_in_fragments_that_share_a_call_id_and_then_run() -> None:
    updates = await stream(in_turn([ToolCall("add", {"a": 1, "b": 22})], [Text("Done.")]))

    calls = contents(updates, "function_call")
    assert [call.name for call in calls] == ["add", "", "", ""]
    assert "".join(str(call.arguments) for call in calls) == '{"a": 1, "b": 22}'
    (result,) = contents(updates, "function_result")
    assert result.result == "23"
    assert {call.call_id for call in calls} == {result.call_id}
    assert "".join(update.text for update in updates) == "Done."


async def test_two_calls_of_one_reply_keep_their_results_apart() -> None:
    script = in_turn([ToolCall("add", {"a": 1, "b": 1}), ToolCall("add", {"a": 2, "b": 2}, call_id="mine")], [])

    updates = await stream(script)

    results = contents(updates, "function_result")
    assert [result.result for result in results] == ["2", "4"]
    assert [result.call_id for result in results] == ["call_id3", "mine"]


async def test_a_tool_that_raises_is_a_result_with_an_exception() -> None:
    updates = await stream(in_turn([ToolCall("fail", {"reason": "secret"})], [Text("Sorry.")]))

    (result,) = contents(updates, "function_result")
    assert result.exception
    assert "secret" not in str(result.result)
    assert "".join(update.text for update in updates) == "Sorry."


@pytest.mark.parametrize(
    ("reply", "heard"),
    [
        pytest.param([RuntimeError("down")], "", id="before the first token"),
        pytest.param([Text("one two"), RuntimeError("down"), Text("three")], "one two", id="half-way"),
        pytest.param([Text("one two three"), RuntimeError("down")], "one two three", id="after the text"),
    ],
)
async def test_a_failure_comes_at_its_place(reply: Reply, heard: str) -> None:
    texts: list[str] = []

    async def listen() -> None:
        async for update in agent(in_turn(reply)).run("Go", stream=True):
            texts.append(update.text)  # noqa: PERF401 - what came before the failure is the point

    with pytest.raises(RuntimeError, match="down"):
        await listen()
    assert "".join(texts) == heard


@pytest.mark.parametrize(
    ("replies", "ran"),
    [
        pytest.param([[ToolCall("add", {"a": 1, "b": 1}), RuntimeError("down")]], [], id="before the tool"),
        pytest.param([[ToolCall("add", {"a": 1, "b": 1})], [RuntimeError("down")]], ["add"], id="after it"),
    ],
)
async def test_a_failure_before_or_after_a_tool_ran(replies: list[Reply], ran: list[str]) -> None:
    with pytest.raises(RuntimeError, match="down"):
        await stream(in_turn(*replies))

    assert ran == RAN


async def test_replacing_text_supersedes_what_was_said() -> None:
    script = in_turn([Text("Wrong words"), Text("Right words", replace=True), Text(" and more")])
    run = agent(script).run("Go", stream=True)

    texts = [content for update in [u async for u in run] for content in update.contents if content.text]

    assert [(content.text, content.merge_mode) for content in texts][2] == ("Right words", "replace")
    assert (await run.get_final_response()).text == "Right words and more"


async def test_a_run_that_is_not_streamed_returns_the_same() -> None:
    response = await agent(in_turn([Text("Let me see. "), ToolCall("add", {"a": 1, "b": 2})], [Text("Three.")])).run(
        "Go"
    )

    assert response.text == "Let me see. Three."
    assert [message.role for message in response.messages] == ["assistant", "tool", "assistant"]
    assert response.usage_details
    assert response.usage_details["output_token_count"] == 8


async def test_a_failure_reaches_a_run_that_is_not_streamed() -> None:
    with pytest.raises(RuntimeError, match="down"):
        await agent(in_turn([Text("one"), RuntimeError("down")])).run("Go")


@pytest.mark.parametrize(("approved", "ran"), [(True, ["erase it"]), (False, [])])
async def test_an_approval_stops_the_run_and_its_answer_continues_it(approved: bool, ran: list[str]) -> None:
    robot, session = agent(in_turn([ToolCall("erase", {"name": "it"})], [Text("Heard.")])), AgentSession()
    first = await robot.run("Erase it", session=session)
    (request,) = first.user_input_requests

    answer = Message("user", [request.to_function_approval_response(approved)])
    second = await robot.run(answer, session=session)

    assert second.text == "Heard."
    assert ran == RAN


async def test_the_pace_is_one_interval_for_each_token() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    client = ScriptedChatClient(in_turn([Text("one two three")]), token_interval_s=0.25, sleep=sleep)
    response = await client.get_response([Message("user", ["Go"])])

    assert slept == [0.25, 0.25, 0.25]
    assert response.messages[0].message_id != response.response_id


async def test_a_pause_holds_the_reply_until_it_is_over() -> None:
    over = asyncio.Event()
    run = agent(in_turn([Text("one"), Pause(over.wait), Text(" two")])).run("Go", stream=True)
    first = await anext(run)

    over.set()
    rest = [update.text async for update in run]

    assert (first.text, "".join(rest)) == ("one", " two")


async def test_the_script_sees_the_messages_and_the_options() -> None:
    seen: list[tuple[list[str], float | None]] = []

    def script(messages: Sequence[Message], options: Mapping[str, Any]) -> Reply:
        seen.append(([message.text for message in messages], options.get("temperature")))
        return [Text("Yes.")]

    robot, session = agent(script), AgentSession()
    await robot.run("First", session=session)
    await robot.run("Second", session=session, options={"temperature": 0.5})

    assert seen == [(["First"], None), (["First", "Yes.", "Second"], 0.5)]


async def test_a_model_call_beyond_the_script_is_an_error() -> None:
    with pytest.raises(AssertionError, match="1 replies"):
        await stream(in_turn([ToolCall("add", {"a": 1, "b": 1})]))
