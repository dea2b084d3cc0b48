"""The parts of a host, put together and taken apart again."""

from __future__ import annotations

import asyncio

import pytest

from streamsink.core.errors import SettingsError, UnavailableError
from streamsink.core.runs import RunRequest
from streamsink.core.settings import Settings
from streamsink.hosts.assembly import assemble
from streamsink.hosts.background import BackgroundHost
from streamsink.testing.clock import virtual_time

from .attempt_support import T, memory_sink
from .support import ends, events_of


def no_agents(sink: object) -> BackgroundHost:
    return BackgroundHost(sink, {})  # type: ignore[arg-type]


@virtual_time
async def test_a_sink_that_was_made_here_is_closed_here() -> None:
    async with assemble(Settings(), make_host=no_agents) as assembly:
        sink = assembly.sink
        await sink.check()

    with pytest.raises(UnavailableError):
        await sink.check()


@virtual_time
async def test_a_sink_that_was_passed_in_stays_open() -> None:
    async with memory_sink() as sink:
        async with assemble(Settings(), make_host=no_agents, sink=sink) as assembly:
            assert assembly.sink is sink
            assert len({(route.method, route.path) for route in assembly.api.routes}) == len(assembly.api.routes)

        await sink.check()


@virtual_time
async def test_what_cannot_be_met_is_said_before_anything_runs() -> None:
    with pytest.raises(SettingsError):
        async with assemble(Settings(history="nowhere"), make_host=no_agents):
            raise AssertionError


@virtual_time
async def test_a_host_that_cannot_be_made_leaves_nothing_open() -> None:
    def broken(sink: object) -> BackgroundHost:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with assemble(Settings(), make_host=broken):
            raise AssertionError


@virtual_time
async def test_runs_whose_producer_has_died_are_ended_though_nobody_looks(caplog: pytest.LogCaptureFixture) -> None:
    """And neither a store that fails for a while nor somebody's bug ends the sweeping."""
    async with memory_sink() as sink:
        await sink.accept_run(T, RunRequest(correlation_id="r", agent_name="a"))
        await sink.begin_attempt(T, "r", lease_s=20)
        sweep, failures = (
            sink.sweep,
            [UnavailableError("the store is down at redis://:swordfish@x"), ValueError("swordfish")],
        )

        async def failing(thread: str | None = None) -> object:
            if failures:
                raise failures.pop()
            return await sweep(thread)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sink, "sweep", failing)
            async with assemble(Settings(), make_host=no_agents, sink=sink):
                await asyncio.sleep(30)
                page = await sink._timeline.read(T, None, limit=9, max_bytes=9_999)  # type: ignore[attr-defined]

        assert [event.target for event in page.events] == ["agentDone"]
        assert ends(await events_of(sink, T)) == [("failed", "producer_lost")]
    assert "UnavailableError" in caplog.text
    assert "ValueError" in caplog.text
    assert "swordfish" not in caplog.text


@virtual_time
async def test_draining_works_where_clients_are_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    async with memory_sink() as sink:
        monkeypatch.setattr(sink, "ability", lambda kind: None)
        async with assemble(Settings(), make_host=no_agents, sink=sink) as assembly:
            await assembly.drain(0)
