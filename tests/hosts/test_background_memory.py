"""What agents in the background remember, and what of an answer that was stopped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agent_framework import tool

from streamsink.demo.scripted import Pause, Text, ToolCall
from streamsink.testing.clock import virtual_time

from .attempt_support import T, memory_sink
from .background_support import bench
from .support import Gate, Model, events_of, make_agent, said


@virtual_time
async def test_a_conversation_goes_on_over_turns() -> None:
    async with bench([Text("One")], [Text("Two")]) as there:
        await there.start("first")
        await there.start("second")  # queued: it waits for what the first turn leaves behind
        await there.done(2)

        assert await there.texts() == ["user: first", "assistant: One", "user: second", "assistant: Two"]


@pytest.mark.parametrize("reply", [[ValueError()], [Text("Half"), ValueError()]], ids=["first", "half-way"])
@virtual_time
async def test_a_failed_run_leaves_the_session_as_it_was(reply: Any) -> None:
    async with bench([Text("One")], reply, [Text("Three")]) as there:
        for prompt in ("first", "second", "third"):
            await there.start(prompt)
        assert [status for status, _ in await there.done(3)] == ["completed", "failed", "completed"]

        assert await there.texts() == ["user: first", "assistant: One", "user: third", "assistant: Three"]


@virtual_time
async def test_a_run_past_its_time_leaves_the_session_as_it_was() -> None:
    gate = Gate()
    async with bench([Text("Half"), Pause(gate)], time_limit_s=5) as there:
        await there.start()

        assert await there.done() == [("failed", "time_limit")]
        assert await there.texts() == []


@virtual_time
async def test_a_cancelled_answer_is_remembered_as_far_as_it_went() -> None:
    """The next turn works, and the model is told what it had said."""
    gate = Gate()
    model = Model([Text("One two"), Pause(gate), Text(" three")], [Text("Go on")])
    async with bench(agents=[make_agent(model)]) as there:
        await there.start("count")
        await gate.reached.wait()
        await there.sink.cancel(T)
        before = asyncio.get_running_loop().time()
        assert await there.done() == [("cancelled", None)]
        assert asyncio.get_running_loop().time() - before < 1

        await there.start("and?")
        await there.done(2)

        assert model.heard[1] == ["user: count", "assistant: One two", "user: and?"]


@virtual_time
async def test_a_published_answer_that_is_cancelled_is_remembered_as_far_as_it_went() -> None:
    """Without any wrapper: what is published is the agent's own stream."""
    gate = Gate()
    model = Model([Text("One two"), Pause(gate), Text(" three")], [Text("Go on")])
    agent = make_agent(model)
    session = agent.create_session()
    async with memory_sink() as sink:
        stream = agent.run("count", stream=True, session=session)
        publishing = asyncio.create_task(sink.publish(T, stream), name="publishing")
        await gate.reached.wait()
        await sink.cancel(T)
        assert (await publishing).status == "cancelled"
        await agent.run("and?", session=session)

        assert model.heard[1] == ["user: count", "assistant: One two", "user: and?"]


@virtual_time
async def test_a_cancel_from_elsewhere_reaches_a_silent_run_at_its_next_renewal() -> None:
    """Another node has put the flag into the timeline; nobody here is told."""
    gate = Gate()
    async with bench([Pause(gate)]) as there:
        await there.start()
        await gate.reached.wait()
        await there.sink._timeline.cancel(T)  # type: ignore[attr-defined]

        assert await there.done() == [("cancelled", None)]
        assert asyncio.get_running_loop().time() < 5


@virtual_time
async def test_a_cancel_in_a_tool_leaves_no_call_without_a_result() -> None:
    gate = Gate()

    @tool
    async def wait() -> str:
        """Wait."""
        await gate()
        return "never"

    model = Model([Text("Let me see"), ToolCall("wait", {}, call_id="c1")], [Text("Fine")])
    async with bench(agents=[make_agent(model, tools=[wait])]) as there:
        run = await there.start()
        await gate.reached.wait()
        await there.sink.cancel(T)
        await there.done()
        terminal = await there.host.wait(T, run, timeout_s=1)
        assert terminal is not None
        assert terminal.response is not None
        assert b"function_call" not in terminal.response

        await there.start("and?")
        await there.done(2)

        contents = [content for message in model.messages[1] for content in message.contents]
        assert {content.type for content in contents} == {"text"}
        assert model.heard[1] == ["user: Hi", "assistant: Let me see", "user: and?"]


@virtual_time
async def test_a_cancel_between_tokens_ends_the_answer_there() -> None:
    async with bench(agents=[make_agent(Model([Text("word " * 50)]), token_s=1)]) as there:
        await there.start()
        await asyncio.sleep(10.5)
        await there.sink.cancel(T)

        assert await there.done() == [("cancelled", None)]
        assert said(await events_of(there.sink, T)).split() == ["word"] * 10
        assert [text.count("word") for text in await there.texts()] == [0, 10]


@virtual_time
async def test_a_run_cancelled_in_the_queue_never_reaches_the_model() -> None:
    gate = Gate()
    model = Model([Pause(gate), Text("One")])
    async with bench(agents=[make_agent(model)]) as there:
        await there.start("first")
        queued = await there.start("second")
        await gate.reached.wait()
        await there.sink.cancel(T, queued)
        assert await there.done() == [("cancelled", None)]
        gate.opened.set()
        await there.done(2)

        assert len(model.heard) == 1
        assert await there.texts() == ["user: first", "assistant: One"]
