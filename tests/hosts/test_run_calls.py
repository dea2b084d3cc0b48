"""Calls about runs where the host is not the usual one, or the caller is gone; the rest is in the contract."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamsink.hosts.background import BackgroundHost
from streamsink.testing.clock import virtual_time

from .contract_checking import assert_error
from .support import running_site


@virtual_time
async def test_where_nothing_can_reach_the_runner_a_cancel_is_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BackgroundHost, "stops_runs", property(lambda self: False))
    async with running_site() as site:
        reply = await site().post(f"/api/agents/Robot/cancel?thread_id={await site.thread()}")

        assert_error(reply, 409, "conflict")


@virtual_time
async def test_a_caller_who_is_gone_leaves_no_run_that_never_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is cancelled while the store is accepting: what was accepted is executed."""
    async with running_site() as site:
        thread = await site.thread()
        accept, accepting = site.sink.accept_run, asyncio.Event()

        async def slow(*args: Any) -> Any:
            accepted = await accept(*args)
            accepting.set()
            await asyncio.sleep(5)
            return accepted

        monkeypatch.setattr(site.sink, "accept_run", slow)
        request = asyncio.create_task(site.run(thread), name="request")
        await accepting.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

        assert await site.done(thread) == [("completed", None)]
