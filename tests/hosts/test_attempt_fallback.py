"""Agents that stream in their own way, or cannot: the fallback is only for before the first update."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.core.errors import AttemptFailedError
from streamsink.hosts.agents import StreamingAgent, run_scope
from streamsink.testing.clock import virtual_time

from .attempt_support import Plain, T, memory_sink, run_plain, scope_of, update, whole
from .support import Gate, ends_of, events_of, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from agent_framework import AgentResponseUpdate


def refuses(error: Exception) -> Callable[[bool], Any]:
    def answer(stream: bool) -> Any:
        if stream:
            raise error
        return whole("Whole")

    return answer


@pytest.mark.parametrize(
    "error",
    [
        TypeError("run() got an unexpected keyword argument 'stream'"),
        NotImplementedError(),
        AttributeError("'coroutine' object has no attribute '__aiter__'"),
    ],
    ids=repr,
)
@virtual_time
async def test_an_agent_that_cannot_stream_answers_at_once(error: Exception) -> None:
    agent = Plain(refuses(error))
    async with memory_sink() as sink:
        assert (await run_plain(agent, sink)).text == "Whole"

        assert agent.calls == [True, False]
        assert said(await events_of(sink, T)) == "Whole"
        assert await ends_of(sink, T) == [("completed", None)]


@virtual_time
async def test_an_agent_that_ignores_stream_is_asked_once() -> None:
    agent = Plain(lambda stream: whole("Whole"))
    async with memory_sink() as sink:
        assert (await run_plain(agent, sink)).text == "Whole"

        assert agent.calls == [True]
        assert said(await events_of(sink, T)) == "Whole"


@pytest.mark.parametrize("error", [TypeError("something else"), KeyError("'stream'")], ids=repr)
@virtual_time
async def test_other_errors_are_no_reason_to_ask_again(error: Exception) -> None:
    agent = Plain(refuses(error))
    async with memory_sink() as sink:
        with pytest.raises(AttemptFailedError):
            await run_plain(agent, sink)

        assert agent.calls == [True]


@virtual_time
async def test_an_agent_is_not_asked_again_once_it_has_spoken() -> None:
    async def breaks() -> AsyncIterator[AgentResponseUpdate]:
        yield update("Half")
        raise NotImplementedError

    agent = Plain(lambda stream: breaks())
    async with memory_sink() as sink:
        with pytest.raises(AttemptFailedError):
            await run_plain(agent, sink)

        assert agent.calls == [True]
        assert await ends_of(sink, T) == [("failed", "agent_error")]


@virtual_time
async def test_a_plain_generator_is_a_stream() -> None:
    async def speaks() -> AsyncIterator[AgentResponseUpdate]:
        for word in ("One", " two"):
            yield update(word)

    async with memory_sink() as sink:
        assert (await run_plain(Plain(lambda stream: speaks()), sink)).text == "One two"


@virtual_time
async def test_a_plain_generator_is_closed_when_the_run_is_cancelled() -> None:
    gate, closed = Gate(), asyncio.Event()

    async def speaks() -> AsyncIterator[AgentResponseUpdate]:
        try:
            yield update("Half")
            await gate()
        finally:
            closed.set()

    async with memory_sink() as sink:
        task = asyncio.create_task(run_plain(Plain(lambda stream: speaks()), sink), name="run")
        await gate.reached.wait()
        await sink.cancel(T)

        assert (await task).text == "Half"
        assert closed.is_set()
        assert await ends_of(sink, T) == [("cancelled", None)]


@virtual_time
async def test_a_run_can_be_cancelled_before_there_is_a_stream() -> None:
    gate = Gate()

    async def opens() -> Any:
        await gate()

    scope = scope_of()
    async with memory_sink() as sink:
        with run_scope(scope):
            task = asyncio.ensure_future(StreamingAgent(Plain(lambda stream: opens()), sink).run("Hi"))
        await gate.reached.wait()
        await sink.cancel(T)

        assert (await task).messages == []
        assert await ends_of(sink, T) == [("cancelled", None)]
