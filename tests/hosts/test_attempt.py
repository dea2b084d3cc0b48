"""One execution of a wrapped agent: whatever happens to it, its run ends in exactly one terminal."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from agent_framework import tool

from streamsink.core.errors import AttemptFailedError, BusyError, StreamOverflowError, UnavailableError
from streamsink.core.runs import RunRequest
from streamsink.demo.scripted import Pause, Text, ToolCall
from streamsink.hosts.attempt import Attempt, RunScope
from streamsink.testing.clock import virtual_time

from .attempt_support import T, memory_sink, run, scope_of, wrapped
from .support import Gate, Model, ends_of, events_of, make_agent, said

if TYPE_CHECKING:
    from streamsink.core.sink import StreamSink

TOKEN = "swordfish"


@virtual_time
async def test_an_answer_is_published_and_stored() -> None:
    async with memory_sink() as sink:
        response = await run(wrapped(sink, [Text("Hello there")]))

        assert response.text == "Hello there"
        events = await events_of(sink, T)
        assert said(events) == "Hello there"
        assert "text" not in events[-1][1]  # it was streamed as it is
        assert await ends_of(sink, T) == [("completed", None)]


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ([ValueError(TOKEN)], ""),
        ([Text("one two"), ValueError(TOKEN)], "one two"),
        ([Text("a"), ToolCall("nothing", {}), ValueError(TOKEN)], "a"),
        ([TypeError("no 'stream' here, but it has begun"), Text("x")], None),
    ],
    ids=["before the first update", "after some", "after a tool call", "a TypeError"],
)
@virtual_time
async def test_a_failure_ends_the_run_and_says_nothing_of_its_text(
    reply: list[Any], text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with memory_sink() as sink:
        with pytest.raises(AttemptFailedError):
            await run(wrapped(sink, reply, reply))

        assert await ends_of(sink, T) == [("failed", "agent_error")]
        events = await events_of(sink, T)
        assert text is None or said(events) == text
        assert TOKEN not in str(events)
        assert TOKEN not in caplog.text
        assert "ValueError" in caplog.text or "TypeError" in caplog.text


def test_the_error_keeps_the_durable_entity_from_running_the_agent_again() -> None:
    """It re-runs after everything but a TypeError whose text has neither word."""
    for message in ("the agent did not complete its answer", str(AttemptFailedError("x"))):
        assert isinstance(AttemptFailedError(message), TypeError)
        assert "stream" not in message
        assert "__aiter__" not in message


@virtual_time
async def test_the_error_that_is_raised_has_neither_word() -> None:
    async with memory_sink() as sink:
        with pytest.raises(TypeError) as caught:
            await run(wrapped(sink, [ValueError("stream __aiter__")]))

        assert "stream" not in str(caught.value)
        assert "__aiter__" not in str(caught.value)


@tool
async def fail() -> str:
    """Fail."""
    raise RuntimeError(TOKEN)


@virtual_time
async def test_a_tool_that_fails_fails_alone() -> None:
    """The framework tells the model; the run goes on."""
    async with memory_sink() as sink:
        agent = wrapped(sink, [ToolCall("fail", {}, call_id="c1")], [Text("It failed.")], tools=[fail])

        await run(agent)

        results = [data for target, data in await events_of(sink, T) if target == "agentToolResult"]
        assert [(data["callId"], data["status"]) for data in results] == [("c1", "failed")]
        assert await ends_of(sink, T) == [("completed", None)]


@virtual_time
async def test_redelivery_after_a_terminal_asks_no_model() -> None:
    async with memory_sink() as sink:
        first = await run(wrapped(sink, [Text("Once")]))

        again = await run(wrapped(sink))  # a model without replies

        assert (again.text, len(again.messages)) == (first.text, len(first.messages))
        assert await ends_of(sink, T) == [("completed", None)]


@virtual_time
async def test_redelivery_after_a_failure_fails_again() -> None:
    """Without asking the model."""
    async with memory_sink() as sink:
        for replies in ([[ValueError()]], []):
            with pytest.raises(AttemptFailedError):
                await run(wrapped(sink, *replies))

        assert await ends_of(sink, T) == [("failed", "agent_error")]


@virtual_time
async def test_an_agent_whose_own_patience_ends_has_failed() -> None:
    """A tool or a model client that raises TimeoutError is not the run's time limit."""
    async with memory_sink() as sink:
        with pytest.raises(AttemptFailedError):
            await run(wrapped(sink, [Text("Half"), TimeoutError()], time_limit_s=60))

        assert await ends_of(sink, T) == [("failed", "agent_error")]


@virtual_time
async def test_a_run_that_takes_too_long_fails() -> None:
    gate = Gate()
    async with memory_sink() as sink:
        with pytest.raises(AttemptFailedError):
            await run(wrapped(sink, [Text("Half"), Pause(gate)], time_limit_s=60))

        assert await ends_of(sink, T) == [("failed", "time_limit")]
        assert said(await events_of(sink, T)) == "Half"


@virtual_time
async def test_a_run_that_says_too_much_fails() -> None:
    async with memory_sink(max_buffer_bytes=65_536, max_event_bytes=65_536) as sink:
        with pytest.raises(AttemptFailedError) as caught:
            await run(wrapped(sink, [Text("x" * 200_000)]))

        assert isinstance(caught.value.__cause__, StreamOverflowError)
        assert await ends_of(sink, T) == [("failed", "stream_overflow")]


@virtual_time
async def test_a_run_that_ended_elsewhere_ends_the_agent() -> None:
    """A sweep that took the producer for dead has the last word; what was remembered is not kept."""
    gate, kept = Gate(), []

    async def keep() -> None:
        kept.append(True)

    async with memory_sink(lease_s=30) as sink:
        task = asyncio.create_task(
            run(wrapped(sink, [Text("Half"), Pause(gate)]), replace(scope_of(), keep=keep)), name="run"
        )
        await gate.reached.wait()
        await sink.interrupt(T, "r1", 1)  # another node, for which the producer is dead
        await sink.sweep(T)

        response = await task

        assert response.messages == []
        assert kept == []
        assert await ends_of(sink, T) == [("failed", "producer_lost")]


@virtual_time
async def test_an_earlier_run_of_the_agent_makes_it_wait() -> None:
    """Nothing has begun: the error says so, and the run is not failed."""
    async with memory_sink() as sink:
        for name in ("r1", "r2"):
            await sink.accept_run(T, RunRequest(correlation_id=name, agent_name="Robot", queue_limit=5))

        with pytest.raises(BusyError):
            await run(wrapped(sink), scope_of("r2"))

        open_run = await sink.get_run(T, "r2")
        assert open_run is not None
        assert open_run.state == "accepted"


@virtual_time
async def test_a_cancelled_task_fails_visibly() -> None:
    gate = Gate()
    async with memory_sink() as sink:
        task = asyncio.create_task(run(wrapped(sink, [Text("Half"), Pause(gate)])), name="run")
        await gate.reached.wait()
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task

        assert await ends_of(sink, T) == [("failed", "shutdown")]


@virtual_time
async def test_what_cannot_be_kept_fails_the_run() -> None:
    """An answer that the next turn would not remember is not called complete."""

    async def keep() -> None:
        raise OSError(TOKEN)

    async with memory_sink() as sink:
        with pytest.raises(AttemptFailedError):
            await run(wrapped(sink, [Text("Hello")]), replace(scope_of(), keep=keep))

        assert await ends_of(sink, T) == [("failed", "agent_error")]


async def streamed(sink: StreamSink, *replies: Any, leave_open: bool = True) -> Any:
    """One attempt, as a durable entity asks for it first."""
    agent = make_agent(Model(*replies))
    scope = RunScope(T, RunRequest(correlation_id="r1", agent_name="Robot", redelivery_s=60))
    attempt = Attempt(agent, sink, scope, "Hi", None, {}, None, leave_open=leave_open)
    return [update async for update in attempt.updates()]


@virtual_time
async def test_an_attempt_that_is_run_again_leaves_its_run_open() -> None:
    """It is shown as interrupted; the next one replaces what it said, and has the last word."""
    async with memory_sink() as sink:
        with pytest.raises(ConnectionError):
            await streamed(sink, [Text("Half"), ConnectionError()])
        assert await ends_of(sink, T, 0) == []

        assert (await run(wrapped(sink, [Text("Whole")]))).text == "Whole"

        assert await ends_of(sink, T) == [("completed", None)]
        targets = [target for target, _ in await events_of(sink, T)]
        assert targets.count("agentInterrupted") == 1


@virtual_time
async def test_an_attempt_that_cannot_be_left_open_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows how far its run has come: the store is gone."""

    async def broken(*args: Any) -> Any:
        raise UnavailableError("the store cannot be reached")

    async with memory_sink() as sink:
        monkeypatch.setattr(sink, "interrupt", broken)
        with pytest.raises(AttemptFailedError):
            await streamed(sink, [Text("Half"), ConnectionError()])

        assert await ends_of(sink, T) == [("failed", "agent_error")]


@virtual_time
async def test_an_attempt_whose_end_cannot_be_written_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with memory_sink(give_up_s=1, lease_s=5) as sink:
        send = sink.send

        async def broken(thread: str, batch: Any) -> Any:
            if batch.terminal is not None:
                raise UnavailableError("the store cannot be reached")
            return await send(thread, batch)

        monkeypatch.setattr(sink, "send", broken)
        with pytest.raises(AttemptFailedError):
            await run(wrapped(sink, [Text("Whole")]))


@virtual_time
async def test_an_attempt_that_cannot_begin_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*args: Any) -> Any:
        raise UnavailableError("the store cannot be reached")

    async with memory_sink(give_up_s=1) as sink:
        monkeypatch.setattr(sink, "accept_run", broken)
        with pytest.raises(UnavailableError):
            await run(wrapped(sink))
