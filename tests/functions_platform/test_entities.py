"""Entities: at least once, one batch at a time, the state saved with each; and what goes wrong on demand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from streamsink.demo.scripted import Pause, Text
from tests.functions_platform import FunctionsPlatform, InProcessWorker
from tests.functions_platform.apps import create_app

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent_framework import Message

    from streamsink.demo.scripted import Reply

RUN = "/api/agents/Echo/run"
NO_WAIT = {"x-ms-wait-for-response": "false"}


async def send(http: httpx.AsyncClient, thread: str, text: str) -> int:
    answer = await http.post(RUN, params={"thread_id": thread}, content=text, headers=NO_WAIT)
    return answer.status_code


async def said(platform: FunctionsPlatform, thread: str) -> list[str]:
    """Return the texts of the thread's saved conversation."""
    state = await platform.entity_state("dafx-Echo", thread)
    entries = state["data"]["conversationHistory"]
    return [message["contents"][0]["text"] for entry in entries for message in entry["messages"]]


async def test_names_are_compared_without_case_and_keys_with_it(
    http: httpx.AsyncClient, platform: FunctionsPlatform
) -> None:
    await send(http, "T", "hello")

    assert await platform.entity_state("DAFX-ECHO", "T") is not None
    assert await platform.entity_state("dafx-Echo", "t") is None


async def test_a_lost_result_is_produced_again_from_the_old_state() -> None:
    calls = 0

    def script(messages: Sequence[Message], options: Mapping[str, Any]) -> Reply:
        nonlocal calls
        calls += 1
        return [Text(f"answer {calls} to {len(messages)}")]

    async with FunctionsPlatform(InProcessWorker(create_app(script))) as platform:
        platform.faults.redeliver_next()
        headers = {"x-functions-key": platform.function_key}
        async with httpx.AsyncClient(base_url=platform.url, headers=headers) as http:
            answer = await http.post(RUN, params={"thread_id": "t"}, json={"message": "hello"})

        assert answer.json()["response"] == "answer 2 to 1"
        assert await said(platform, "t") == ["hello", "answer 2 to 1"]


async def test_operations_that_come_during_a_batch_are_the_next_one() -> None:
    batches: list[str] = []
    reached, gate = asyncio.Event(), asyncio.Event()
    here = asyncio.get_running_loop()

    async def passed() -> None:
        here.call_soon_threadsafe(reached.set)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(gate.wait(), here))

    def script(messages: Sequence[Message], options: Mapping[str, Any]) -> Reply:
        batches.append(messages[-1].text)
        return [Pause(passed), Text("ok")] if messages[-1].text == "1" else [Text("ok")]

    async with FunctionsPlatform(InProcessWorker(create_app(script))) as platform:
        headers = {"x-functions-key": platform.function_key}
        async with httpx.AsyncClient(base_url=platform.url, headers=headers) as http:
            await send(http, "t", "1")
            await reached.wait()
            await send(http, "t", "2")
            await send(http, "t", "3")
            await send(http, "other", "4")
            assert await said(platform, "other") == ["4", "ok"]
            gate.set()
            assert await said(platform, "t") == ["1", "ok", "2", "ok", "3", "ok"]

    assert batches == ["1", "4", "2", "3"]


async def test_a_batch_is_held_until_it_is_released(http: httpx.AsyncClient, platform: FunctionsPlatform) -> None:
    with platform.faults.held_batches("t"):
        await send(http, "t", "1")
        await send(http, "t", "2")
        await platform.queued("dafx-Echo", "t", 2)
        await send(http, "other", "1")
        assert await said(platform, "other") == ["1", "1 1"]
        assert platform.entity_keys() == [("dafx-echo", "other")]

    assert await said(platform, "t") == ["1", "1 1", "2", "3 2"]


@pytest.mark.parametrize("executed", [False, True])
async def test_a_signal_is_refused(http: httpx.AsyncClient, platform: FunctionsPlatform, executed: bool) -> None:
    platform.faults.refuse_signals(status=503, executed=executed)

    assert await send(http, "t", "1") == 500
    await platform.idle()
    assert (await platform.entity_state("dafx-Echo", "t") is not None) == executed
    assert await send(http, "t", "2") == 202


async def test_two_signals_arrive_in_the_other_order(http: httpx.AsyncClient, platform: FunctionsPlatform) -> None:
    platform.faults.reorder_next_signals()
    await send(http, "t", "1")
    await send(http, "t", "2")

    assert await said(platform, "t") == ["2", "1 2", "1", "3 1"]


async def test_what_was_not_released_is_not_idle() -> None:
    async with FunctionsPlatform(InProcessWorker(create_app()), timeout_s=1) as platform:
        with platform.faults.held_batches():
            await platform.signal("dafx-Echo", "t", "run", {"message": "hello"})
            with pytest.raises(TimeoutError):
                await platform.idle()
        await platform.idle()


async def test_a_function_that_does_not_end_is_said_and_ended() -> None:
    def script(messages: Sequence[Message], options: Mapping[str, Any]) -> Reply:
        return [Pause(asyncio.Event().wait)]

    async def end_too_early() -> None:
        async with FunctionsPlatform(InProcessWorker(create_app(script), grace_s=0.1)) as platform:
            await platform.signal("dafx-Echo", "t", "run", {"message": "hello", "correlationId": "c"})
            await platform.executing("dafx-Echo", "t")

    with pytest.raises(AssertionError, match="while functions were executing: dafx-Echo"):
        await end_too_early()
