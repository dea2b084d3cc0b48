"""The parts of the host: opened once, on one loop, reached from others."""

from __future__ import annotations

import asyncio
import contextvars
import importlib.util
import runpy
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from agent_framework import AgentResponse, Message
from agent_framework_durabletask import DurableAgentState, DurableAgentStateResponse
from azure.durable_functions.models.EntityStateResponse import EntityStateResponse

from streamsink.core.errors import BusyError, MissingExtraError, UnavailableError
from streamsink.core.events import Terminal
from streamsink.core.runs import RunRequest
from streamsink.hosts import functions
from streamsink.hosts.functions.agent_loop import AgentLoop, on_loop
from streamsink.hosts.functions.durable import Entities, current_entities, reaching
from streamsink.hosts.functions.open_runs import OpenRuns
from streamsink.hosts.functions.parts import Parts
from streamsink.testing.checking import batch
from streamsink.testing.clock import virtual_time
from tests.hosts.attempt_support import memory_sink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from azure.durable_functions import EntityId

    from streamsink.core.sink import StreamSink

DONE = Terminal("completed")


class Opener:
    """Says how often it was opened and closed; fails when it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.said: list[str] = []

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[int]:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise UnavailableError("not yet")
        self.said.append("opened")
        yield len(self.said)
        self.said.append("closed")


async def test_parts_are_opened_once_for_everybody() -> None:
    opener = Opener()
    parts = Parts(opener)

    assert await asyncio.gather(*(parts.get() for _ in range(5))) == [1] * 5
    for _ in range(2):
        await parts.aclose()
    assert opener.said == ["opened", "closed"]
    assert await parts.get() == 3
    await parts.aclose()


async def test_a_failure_to_open_is_not_for_ever() -> None:
    parts = Parts(Opener(failures=1))

    with pytest.raises(UnavailableError):
        await parts.get()
    assert await parts.get() == 1
    await parts.aclose()


variable = contextvars.ContextVar("variable", default="unset")


async def here() -> tuple[str, str]:
    return threading.current_thread().name, variable.get()


async def test_calls_reach_the_agents_loop_with_their_context() -> None:
    loop = AgentLoop()
    variable.set("mine")

    assert await loop.call(here) == ("dafx-agent-loop", "mine")
    assert await loop.call(here) == ("dafx-agent-loop", "mine")
    assert await asyncio.to_thread(loop.call_from_thread, here) == ("dafx-agent-loop", "mine")
    assert await on_loop(asyncio.get_running_loop(), here) == (threading.current_thread().name, "mine")


async def test_a_loop_that_has_ended_cannot_be_reached() -> None:
    ended = asyncio.new_event_loop()
    ended.close()

    with pytest.raises(RuntimeError):
        await on_loop(ended, here)


class Client:
    """What the durable client does when it fails."""

    async def signal_entity(self, *args: Any) -> None:
        raise RuntimeError("The operation failed with an unexpected status code 500")


async def test_what_the_durable_client_raises_is_told_as_unavailable() -> None:
    entities = Entities(Client(), asyncio.get_running_loop())

    with pytest.raises(UnavailableError):
        await entities.signal("Robot", "t", "run")


def test_entities_are_reached_from_requests_only() -> None:
    entities = Entities(Client(), asyncio.new_event_loop())
    entities.loop.close()

    with pytest.raises(UnavailableError):
        current_entities()
    with reaching(entities):
        assert current_entities() is entities


class Memory(Client):
    """An entity's state, as the durable client reads it."""

    def __init__(self, state: object) -> None:
        self.state = state

    async def read_entity_state(self, entity: EntityId) -> EntityStateResponse:
        return EntityStateResponse(self.state is not None, self.state)


@pytest.mark.parametrize("correlation_id", ["mine", "another"])
async def test_an_entity_remembers_the_responses_of_its_runs(correlation_id: str) -> None:
    state = DurableAgentState()
    answer = AgentResponse(messages=[Message("assistant", ["Hello"])], created_at="2026-01-01T00:00:00+00:00")
    state.data.conversation_history.append(DurableAgentStateResponse.from_run_response("mine", answer))
    entities = Entities(Memory(state.to_dict()), asyncio.get_running_loop())

    found = await entities.response("Robot", "t", correlation_id)

    assert (found and found.text) == ("Hello" if correlation_id == "mine" else None)


@pytest.mark.parametrize("state", [None, "of another app"])
async def test_an_entity_that_does_not_exist_remembers_nothing(state: object) -> None:
    assert await Entities(Memory(state), asyncio.get_running_loop()).response("Robot", "t", "mine") is None


def test_what_is_missing_is_said_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(MissingExtraError, match=r"streamsink\[functions\]"):
        runpy.run_path(str(functions.__file__))


async def open_run(sink: StreamSink, runs: OpenRuns, user: str, name: str) -> None:
    async with runs.reserve(user):
        await sink.accept_run("t", RunRequest(correlation_id=name, agent_name="a"))
        runs.add(user, "t", name)


@virtual_time
async def test_open_runs_are_bounded_for_each_user_and_for_all() -> None:
    async with memory_sink() as sink:
        runs = OpenRuns(sink, max_per_user=2, max_runs=3)
        for name in ("r1", "r2"):
            await open_run(sink, runs, "ann", name)
        with pytest.raises(BusyError):
            await open_run(sink, runs, "ann", "r3")
        await open_run(sink, runs, "bob", "r3")
        with pytest.raises(BusyError):
            await open_run(sink, runs, "cid", "r4")

        await sink.begin_attempt("t", "r1", lease_s=30)
        await sink.append("t", batch("r1", 1, end=DONE))

        await open_run(sink, runs, "cid", "r4")
        runs.forget("t")
        await open_run(sink, runs, "ann", "r5")
