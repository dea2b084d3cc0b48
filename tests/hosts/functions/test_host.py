"""The edges of the host: what a store that is gone, or an extension that is, means to a caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from agent_framework import AgentResponse, Content, Message

from streamsink.core.errors import UnavailableError
from streamsink.core.runs import RunRequest
from streamsink.core.settings import Settings, Times
from streamsink.hosts.agent_host import Job
from streamsink.hosts.functions.durable import reaching
from streamsink.hosts.functions.host import EntityHost
from streamsink.hosts.responses import response_text
from streamsink.opening import open_sink
from streamsink.testing.clock import virtual_runtime, virtual_time
from tests.hosts.contract_checking import assert_error
from tests.hosts.support import Model, make_agent

from .support import on_agent_loop, running_site

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamsink.core.sink import StreamSink

T = "thread"
JOB = Job(thread=T, request=RunRequest(correlation_id="r1", agent_name="Robot", queue_limit=1), user_id="ann")


async def unreachable(*args: Any, **more: Any) -> Any:
    raise UnavailableError("the store cannot be reached")


@on_agent_loop
async def test_what_nobody_expected_is_an_error_of_the_same_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that turn out wrong, and our own mistakes; without their text."""
    async with running_site() as site:
        for error, status in ((UnavailableError("not yet"), 503), (ValueError("swordfish"), 500)):

            async def broken(error: Exception = error) -> Any:
                raise error

            with monkeypatch.context() as patch:
                patch.setattr(site.app._parts, "get", broken)
                assert "swordfish" not in assert_error(await site().get("/api/health"), status)


@on_agent_loop
async def test_a_run_that_cannot_be_looked_up_is_not_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operation fails, so that whoever called the entity hears of it; a sweep ends the run."""
    model = Model()
    settings = Settings(times=Times(queue_timeout_s=1))
    async with running_site(make_agent(model), settings=settings) as site:
        site.sink.options = site.sink.options.__class__(give_up_s=0.1)
        thread = await site.thread()
        with site.platform.faults.held_batches():
            await site.run(thread)
            monkeypatch.setattr(site.sink, "accept_run", unreachable)
        await site.platform.idle()
        monkeypatch.undo()

        assert await site.done(thread) == [("failed", "queue_timeout")]
        assert model.heard == []


class Extension:
    """The durable extension, with one entity that remembers these responses, by run."""

    def __init__(self, responses: Mapping[str, AgentResponse[Any]]) -> None:
        self.responses = responses
        self.signals: list[str] = []

    async def signal(self, agent: str, thread: str, operation: str, content: Any = None) -> None:
        self.signals.append(operation)

    async def response(self, agent: str, thread: str, correlation_id: str) -> AgentResponse[Any] | None:
        return self.responses.get(correlation_id)


def host_of(sink: StreamSink, *, several_workers: bool = True) -> EntityHost:
    return EntityHost(sink, Settings(), reachable=list, remembering=list, several_workers=several_workers)


def without_history() -> StreamSink:
    return open_sink(Settings(history="none"), environ={}, runtime=virtual_runtime())


@virtual_time
async def test_an_end_that_this_process_does_not_see_is_the_entitys() -> None:
    answer = AgentResponse(messages=[Message("assistant", ["Yes"])])
    broken = AgentResponse(messages=[Message("assistant", [Content.from_error(message="no")])])
    async with without_history() as sink:
        host = host_of(sink)
        assert not host.stops_runs
        for response, status, text in ((answer, "completed", "Yes"), (broken, "failed", "")):
            extension: Any = Extension({"r1": response})
            with reaching(extension):
                await sink.accept_run(T, JOB.request)
                await host.start(JOB)
                terminal = await host.wait(T, "r1", timeout_s=5)

            assert terminal is not None
            assert (terminal.status, response_text(terminal)) == (status, text)
            assert extension.signals == ["run"]


@virtual_time
async def test_a_caller_waits_for_an_entity_for_so_long() -> None:
    async with without_history() as sink:
        host, extension = host_of(sink), Extension({})
        with reaching(extension):  # type: ignore[arg-type]
            await sink.accept_run(T, JOB.request)
            await host.start(JOB)

            assert await host.wait(T, "r1", timeout_s=5) is None
            assert await host.wait(T, "unknown", timeout_s=5) is None


@virtual_time
async def test_with_one_worker_everything_is_here() -> None:
    async with without_history() as sink:
        assert host_of(sink, several_workers=False).stops_runs


@virtual_time
async def test_a_run_that_can_be_neither_started_nor_ended_is_left_to_a_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with without_history() as sink:
        await sink.accept_run(T, JOB.request)
        monkeypatch.setattr(sink, "begin_attempt", unreachable)

        with pytest.raises(UnavailableError):
            await host_of(sink).start(JOB)  # nothing here is a request

        run = await sink.get_run(T, "r1")
        assert run is not None
        assert run.state == "accepted"


async def test_a_host_of_entities_has_nothing_to_drain() -> None:
    async with without_history() as sink:
        await host_of(sink).aclose(drain_s=0)
