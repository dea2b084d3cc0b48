"""The framework's response callback, which is told of updates and ends, and of no failure."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from streamsink.core.errors import UnavailableError
from streamsink.hosts.callback import StreamCallback
from streamsink.testing.clock import virtual_time

from .attempt_support import T, answered, memory_sink, update
from .support import ends_of, events_of, said


@dataclass
class Context:
    agent_name: str = "Robot"
    correlation_id: str = "r1"
    session_id: str | None = T


@virtual_time
async def test_updates_and_the_end_are_published() -> None:
    async with memory_sink() as sink:
        callback = StreamCallback(sink)
        for word in ("One", " two"):
            await callback.on_streaming_response_update(update(word), Context())
        await callback.on_agent_response(answered("One two"), Context())

        assert said(await events_of(sink, T)) == "One two"
        assert await ends_of(sink, T) == [("completed", None)]
        run = await sink.get_run(T, "r1")
        assert run is not None
        assert run.terminal is not None
        assert run.terminal.response is not None


@virtual_time
async def test_an_answer_that_was_not_streamed_is_published_whole() -> None:
    async with memory_sink() as sink:
        await StreamCallback(sink).on_agent_response(answered("Whole"), Context())

        assert (await events_of(sink, T))[-1][1]["text"] == "Whole"


@virtual_time
async def test_a_run_without_a_session_has_a_thread_of_its_own() -> None:
    async with memory_sink() as sink:
        await StreamCallback(sink).on_agent_response(answered("Hi"), Context(session_id=None))

        assert await ends_of(sink, "r1") == [("completed", None)]


@virtual_time
async def test_a_run_that_falls_silent_is_taken_for_failed() -> None:
    """The silence is counted from the last update; what comes later is not published."""
    async with memory_sink() as sink:
        callback = StreamCallback(sink, silence_s=100)
        for _ in range(3):
            await callback.on_streaming_response_update(update("word "), Context())
            await asyncio.sleep(90)
        await asyncio.sleep(5)
        assert (await events_of(sink, T))[-1][0] == "agentMessage"
        await asyncio.sleep(6)

        assert await ends_of(sink, T) == [("failed", "producer_lost")]
        await callback.on_streaming_response_update(update("late"), Context())
        await callback.on_agent_response(answered("late"), Context())
        assert "late" not in str(await events_of(sink, T))


@virtual_time
async def test_runs_at_once_are_kept_apart() -> None:
    async with memory_sink() as sink:
        callback = StreamCallback(sink)
        for name in ("r1", "r2"):
            await callback.on_streaming_response_update(update(name), Context(correlation_id=name))
        for name in ("r2", "r1"):
            await callback.on_agent_response(answered(name), Context(correlation_id=name))

        texts = {data["correlationId"]: data["text"] for target, data in await events_of(sink, T) if "text" in data}
        assert texts == {"r1": "r1", "r2": "r2"}


@virtual_time
async def test_a_run_that_could_not_begin_begins_with_the_next_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """The framework swallows what a callback raises."""
    async with memory_sink(give_up_s=0) as sink:
        callback, accept, failures = StreamCallback(sink), sink.accept_run, [UnavailableError("not now")]

        async def late(*args: Any) -> Any:
            if failures:
                raise failures.pop()
            return await accept(*args)

        monkeypatch.setattr(sink, "accept_run", late)
        with pytest.raises(UnavailableError):
            await callback.on_streaming_response_update(update("One"), Context())
        await callback.on_streaming_response_update(update(" two"), Context())
        await callback.on_agent_response(answered("One two"), Context())

        assert (await events_of(sink, T))[-1][1]["text"] == "One two"
