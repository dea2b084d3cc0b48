"""Runs whose acceptance was not heard of; how they come about is in ``test_run_calls``."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamsink.core.errors import ThreadDeletedError
from streamsink.core.runs import RunRequest
from streamsink.hosts.agent_host import Job
from streamsink.hosts.late_starts import start_if_accepted
from streamsink.testing.clock import virtual_time

from .attempt_support import T
from .background_support import bench

if TYPE_CHECKING:
    import pytest

JOB = Job(thread=T, request=RunRequest(correlation_id="r1", agent_name="Robot", call="c"), user_id="ann", prompt="Hi")


@virtual_time
async def test_a_host_that_stops_meanwhile_ends_it() -> None:
    async with bench() as there:
        await there.sink.accept_run(T, JOB.request)
        await there.host.aclose(drain_s=0)
        await start_if_accepted(there.sink, there.host, JOB)

        assert await there.done() == [("failed", "shutdown")]


@virtual_time
async def test_one_that_somebody_else_accepted_is_left_to_them() -> None:
    """The same answer to an approval came again, and was accepted under another name."""
    async with bench() as there:
        await there.sink.accept_run(T, replace(JOB.request, call="another"))
        await start_if_accepted(there.sink, there.host, JOB)

        run = await there.sink.get_run(T, "r1")
        assert run is not None
        assert run.state == "accepted"


@virtual_time
async def test_one_that_was_not_accepted_is_looked_for_for_a_minute() -> None:
    async with bench() as there:
        await start_if_accepted(there.sink, there.host, JOB)

        assert 20 < asyncio.get_running_loop().time() < 60
        assert await there.sink.get_run(T, "r1") is None


@virtual_time
async def test_a_thread_that_was_deleted_meanwhile_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def deleted(*args: Any) -> Any:
        raise ThreadDeletedError("deleted")

    async with bench() as there:
        monkeypatch.setattr(there.sink, "get_run", deleted)
        await start_if_accepted(there.sink, there.host, JOB)

    assert "ThreadDeletedError" in caplog.text
