"""The wrapper around an agent: an agent like the one inside, whose every execution is published."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agent_framework import tool

from streamsink import current_run
from streamsink.core.errors import AttemptFailedError
from streamsink.demo.scripted import Pause, Text, ToolCall
from streamsink.hosts.agents import StreamingAgent, run_scope
from streamsink.testing.clock import virtual_time

from .attempt_support import Plain, T, memory_sink, run, scope_of, whole, wrapped
from .support import Gate, ends_of, events_of, said, until


@virtual_time
async def test_what_a_tool_emits_belongs_to_the_run() -> None:
    """From a synchronous tool, on its worker thread, and from an asynchronous one."""

    @tool
    def slow(n: int) -> str:
        """Work."""
        current_run().emit("progress", {"n": n})
        return "slow"

    @tool
    async def quick(n: int) -> str:
        """Work."""
        current_run().emit("progress", {"n": n})
        return "quick"

    async with memory_sink() as sink:
        calls = [ToolCall("slow", {"n": 1}), ToolCall("quick", {"n": 2})]
        await run(wrapped(sink, calls, [Text("Done")], tools=[slow, quick]))

        emitted = [data["data"]["n"] for target, data in await events_of(sink, T) if target == "agentCustom"]
        assert sorted(emitted) == [1, 2]


@virtual_time
async def test_an_agent_called_by_an_agent_is_part_of_its_run() -> None:
    """Also when it is wrapped itself: the run has one attempt and one terminal."""
    async with memory_sink() as sink:
        helper = wrapped(sink, [Text("42")])

        @tool
        async def ask_helper() -> str:
            """Ask."""
            return str((await helper.run("What?")).text)

        await run(wrapped(sink, [ToolCall("ask_helper", {})], [Text("It is 42")], tools=[ask_helper]))

        events = await events_of(sink, T)
        assert {data["attempt"] for _, data in events} == {1}
        assert [data["result"] for target, data in events if target == "agentToolResult"] == ["42"]
        assert await ends_of(sink, T) == [("completed", None)]


async def reading(stream: Any) -> list[str]:
    return [update.text async for update in stream]


@virtual_time
async def test_a_caller_that_streams_gets_every_update_and_the_response() -> None:
    async with memory_sink() as sink:
        with run_scope(scope_of()):
            stream = wrapped(sink, [Text("One two three")]).run("Hi", stream=True)

        assert "".join(await reading(stream)) == "One two three"
        assert (await stream.get_final_response()).text == "One two three"
        assert await ends_of(sink, T) == [("completed", None)]


@virtual_time
async def test_a_caller_that_streams_hears_of_a_failure() -> None:
    async with memory_sink() as sink:
        with run_scope(scope_of()):
            stream = wrapped(sink, [Text("One"), ValueError()]).run("Hi", stream=True)

        with pytest.raises(AttemptFailedError):
            await reading(stream)

        assert await ends_of(sink, T) == [("failed", "agent_error")]


@virtual_time
async def test_a_caller_that_reads_no_more_ends_the_attempt() -> None:
    gate = Gate()
    async with memory_sink() as sink:
        with run_scope(scope_of()):
            stream = wrapped(sink, [Text("One "), Pause(gate), Text("two")]).run("Hi", stream=True)
        async for _ in stream:
            break
        await stream.close()

        assert await ends_of(sink, T) == [("failed", "shutdown")]
        assert (await stream.get_final_response()).text.strip() == "One"


@virtual_time
async def test_a_slow_reader_slows_the_agent_down() -> None:
    async with memory_sink() as sink:
        with run_scope(scope_of()):
            stream = wrapped(sink, [Text("word " * 3_000)]).run("Hi", stream=True)
        reader = aiter(stream)
        await anext(reader)
        await until(lambda: len(asyncio.all_tasks()) > 1)
        await asyncio.sleep(1)

        events = await events_of(sink, T)
        assert 1_000 <= said(events).count("word") < 1_100
        await stream.close()
        assert await ends_of(sink, T) == [("failed", "shutdown")]


@virtual_time
async def test_options_and_messages_reach_the_agent() -> None:
    async with memory_sink() as sink:
        heard: list[Any] = []

        class Curious(Plain):
            def run(self, messages: Any = None, **kwargs: Any) -> Any:
                heard.append((messages, kwargs))
                return whole("ok")

        with run_scope(scope_of()):
            await StreamingAgent(Curious(lambda stream: whole("ok")), sink).run("Hi", options={"temperature": 0})

        assert heard == [("Hi", {"stream": True, "session": None, "options": {"temperature": 0}})]


@virtual_time
async def test_without_a_scope_the_session_names_the_thread() -> None:
    """As in a workflow: nobody has accepted the run, so it is accepted here; each call is another."""
    async with memory_sink() as sink:
        agent = wrapped(sink, [Text("One")], [Text("Two")])
        session = agent.create_session(session_id="elsewhere")

        await agent.run("Hi", session=session)
        await agent.run("Hi", session=session)

        events = await events_of(sink, "elsewhere")
        assert await ends_of(sink, "elsewhere", 2) == [("completed", None)] * 2
        assert len({data["correlationId"] for _, data in events}) == 2
        assert {data["agentName"] for _, data in events} == {"Robot"}


@virtual_time
async def test_without_scope_and_session_nothing_is_published() -> None:
    async with memory_sink() as sink:
        assert (await wrapped(sink, [Text("Unheard")]).run("Hi")).text == "Unheard"
        with pytest.raises(LookupError):
            current_run()
