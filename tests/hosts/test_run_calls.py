"""Calls about runs where the host is not the usual one, or the caller is gone; the rest is in the contract."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.core.errors import UnavailableError
from streamsink.core.identity import Request, User
from streamsink.core.settings import Limits, Settings
from streamsink.demo.scripted import Pause
from streamsink.hosts import assembly
from streamsink.hosts.assembly import Nature
from streamsink.hosts.background import BackgroundHost
from streamsink.testing.clock import virtual_time

from .contract_checking import assert_error
from .contract_control import approve, asked, eraser
from .support import make_agent, running_site

if TYPE_CHECKING:
    from streamsink.core.runs import RunRequest

    from .support import Site


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


@virtual_time
@pytest.mark.parametrize("has_happened", [True, False])
async def test_an_answer_whose_acceptance_was_not_heard_of_counts_once(
    has_happened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, model = eraser()
    async with running_site(agent) as site:
        thread = await site.thread()
        await site.ask(thread)
        request = await asked(site, thread)
        with monkeypatch.context() as patched:
            patched.setattr(site.sink, "accept_run", unheard(site, has_happened=has_happened))
            assert_error(await approve(site, thread, request), 503, "unavailable")
        again = await approve(site, thread, request)

        assert again.status_code == 202
        assert await site.done(thread, 2) == [("completed", None)] * 2
        await asyncio.sleep(120)
        assert await site.done(thread, 2) == [("completed", None)] * 2
        assert len(model.heard) == 2


def unheard(site: Site, *, has_happened: bool) -> Any:
    """An acceptance whose answer does not come."""
    accept = site.sink.accept_run

    async def called(*args: Any) -> Any:
        if has_happened:
            await accept(*args)
        raise UnavailableError("no answer in time")

    return called


@virtual_time
@pytest.mark.parametrize("has_happened", [True, False])
async def test_a_run_whose_acceptance_was_not_heard_of_is_executed_once(
    has_happened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store does not answer in time, and the caller, who is told so, asks again with the same key."""
    async with running_site() as site:
        thread = await site.thread()
        get_run = site.sink.get_run

        async def fails_once(*args: Any) -> Any:
            monkeypatch.setattr(site.sink, "get_run", get_run)
            raise UnavailableError("no answer in time")

        with monkeypatch.context() as patched:
            patched.setattr(site.sink, "accept_run", unheard(site, has_happened=has_happened))
            assert_error(await site.run(thread, idempotency_key="k"), 503, "unavailable")
        monkeypatch.setattr(site.sink, "get_run", fails_once)
        again = await site.run(thread, idempotency_key="k")

        assert again.status_code == 202
        assert await site.done(thread) == [("completed", None)]
        await asyncio.sleep(120)
        assert await site.done(thread) == [("completed", None)]


@virtual_time
@pytest.mark.parametrize("redelivery_s", [0, 60])
async def test_a_run_that_waits_in_a_process_ends_with_it(redelivery_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that redelivers has its runs wait elsewhere: what dies with a process comes again."""
    monkeypatch.setattr(assembly, "Nature", partial(Nature, redelivery_s=redelivery_s))
    async with running_site() as site:
        asked: list[RunRequest] = []
        accept = site.sink.accept_run

        async def noted(thread: str, request: RunRequest) -> Any:
            asked.append(request)
            return await accept(thread, request)

        monkeypatch.setattr(site.sink, "accept_run", noted)
        await site.run(await site.thread())

        assert {request.lease_s for request in asked} == {0.0 if redelivery_s else site.sink.options.lease_s}


def a_service(request: Request) -> User:
    return User(subject="back office", is_service=True)


@virtual_time
async def test_a_service_that_asks_for_many_people_is_not_bounded_like_one() -> None:
    """Its runs count per conversation, its requests are not counted."""
    limits = Limits(max_runs_per_user=1, requests_per_minute=1)
    model = Pause(asyncio.Event().wait)
    agent = make_agent(lambda messages, options: [model])
    async with running_site(agent, settings=Settings(limits=limits), identify=a_service) as site:
        first, second, same = [await site.run(thread) for thread in ("one", "two", "one")]

        assert (first.status_code, second.status_code) == (202, 202)
        assert_error(same, 429, "busy")


@virtual_time
async def test_the_anonymous_cookie_of_an_https_visitor_is_secure() -> None:
    async with running_site(identify=None, base_url="https://host.test") as site:
        reply = await site().get("/api/index")

        assert "secure" in reply.headers["set-cookie"].lower()
