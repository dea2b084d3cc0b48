"""The contract: who may do what, from where, and how often."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from streamsink.core.auth_settings import Auth
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Limits, Settings
from streamsink.core.tickets import Tickets
from streamsink.demo.scripted import Pause, Text

from .contract_checking import PLENTY, assert_error
from .support import BASE, NO_WAIT, Gate, Model, make_agent, said

if TYPE_CHECKING:
    import httpx

    from .contract_checking import Check, MakeSite
    from .support import Site

KEY = "k" * 40
RING = SecretRing({"0": "s" * 40})
NOW = 1_700_000_000.0


async def calls_on(client: httpx.AsyncClient, thread: str) -> list[httpx.Response]:
    """Every call that names a thread."""
    group = {"group": thread, "connectionId": "c", "after": ""}
    query = {"thread_id": thread}
    approval = {"approvalId": "a", "approved": True}
    return [
        await client.post("/api/agent/join-group", json=group),
        await client.post("/api/agent/leave-group", json=group),
        await client.post("/api/agents/Robot/run", params=query, json={"message": "Hi"}, headers=NO_WAIT),
        await client.post("/api/agents/Robot/run", json={"message": "Hi", **query}, headers=NO_WAIT),
        await client.post("/api/agents/Robot/cancel", params=query),
        await client.post("/api/agents/Robot/cancel", params={**query, "correlation_id": "id-1"}),
        await client.post("/api/agents/Robot/approve", params=query, json=approval),
        await client.get(f"/api/agent/threads/{thread}/events"),
        await client.get(f"/api/agent/threads/{thread}/events", headers={"accept": "text/event-stream"}),
        await client.delete(f"/api/agent/threads/{thread}"),
    ]


async def a_stranger_changes_nothing(make: MakeSite) -> None:
    """Every call on somebody else's thread is 403, and the run goes on as if nothing had happened."""
    gate = Gate()
    async with make(make_agent(Model([Text("Half"), Pause(gate), Text(" whole")]))) as site:
        thread = await site.thread()
        await site.run(thread)
        await gate.reached.wait()
        while not said(before := await site.events(thread)):  # noqa: ASYNC110  not ours to wake
            await asyncio.sleep(0.01)

        for reply in await calls_on(site("bob"), thread):
            assert_error(reply, 403, "forbidden")

        assert await site.events(thread) == before
        gate.opened.set()
        assert await site.done(thread) == [("completed", None)]


async def nobody_learns_what_exists(make: MakeSite) -> None:
    """A thread that is somebody's, one that is nobody's and one that has been deleted look the same to a stranger."""
    async with make(settings=PLENTY) as site:
        theirs, deleted = await site.thread(), await site.thread()
        await site.ask(theirs)
        await site().delete(f"/api/agent/threads/{deleted}")

        answers = []
        for thread in (theirs, deleted, "never-made", theirs[:-1] + ("A" if theirs[-1] != "A" else "B")):
            replies = await calls_on(site("bob"), thread)
            answers.append([(reply.status_code, reply.content) for reply in replies])

        assert answers[0] == answers[1] == answers[2] == answers[3]


async def somebody_unknown_is_refused(make: MakeSite) -> None:
    """401 for every call but the page and the checks of the platform; also for a credential that is wrong."""
    async with make() as site:
        thread = await site.thread()
        for client in (site(None), site("raise")):
            replies = await calls_on(client, thread)
            replies.append(await client.post("/api/agent/create-thread"))
            replies.append(await client.get("/api/agent/negotiate"))
            for reply in replies:
                assert_error(reply, 401, "unauthenticated")
                assert reply.headers["www-authenticate"] == "Bearer"
            for path in ("/api/health", "/api/ready", "/api/index", "/api/static/app.js"):
                assert (await client.get(path)).status_code == 200

        assert await site.events(thread) == []


async def a_service_may_use_any_thread(make: MakeSite) -> None:
    """Also one that was not made here; but the name has to be a name."""
    async with make() as site:
        thread = await site.thread()
        for name in (thread, "order-66", "a:b@c.d"):
            assert (await site.run(name, user="office")).status_code == 202
            assert await site.done(name) == [("completed", None)]
        for name in ("a/b", "..", "x" * 201):
            assert_error(await site.run(name, user="office"), 400, "invalid_request")


async def service_keys_are_checked(make: MakeSite) -> None:
    settings = Settings(auth=Auth(service_keys=(KEY,)))
    async with make(settings=settings, identify=None) as site:
        client = site(None)
        headers = {**NO_WAIT, "x-stream-service-key": KEY}
        url = "/api/agents/Robot/run?thread_id=order-66"

        assert (await client.post(url, json={"message": "Hi"}, headers=headers)).status_code == 202
        wrong = await client.post(url, json={"message": "Hi"}, headers={**headers, "x-stream-service-key": "w" * 40})
        assert_error(wrong, 401, "unauthenticated")
        assert KEY not in wrong.text
        await site.done("order-66")


async def a_cookie_makes_everybody_somebody(make: MakeSite) -> None:
    """The page gives it, before any call needs it; without it each call comes from somebody else."""
    async with make(identify=None) as site:
        first, second = site.open_client(), site.open_client()
        await first.get("/api/index")
        assert "httponly" in (await second.get("/api/index")).headers["set-cookie"].lower()

        thread = (await first.post("/api/agent/create-thread")).json()["thread_id"]
        url = f"/api/agent/threads/{thread}/events"

        assert (await first.get(url)).status_code == 200
        assert_error(await second.get(url), 403, "forbidden")
        assert_error(await site.open_client().get(url), 403, "forbidden")


async def a_ticket_shares_a_thread(make: MakeSite) -> None:
    """For what it says and for so long; one that is not valid is refused, whoever shows it."""
    from time import time

    async with make(settings=Settings(secret=RING), identify=None) as site:
        owner, guest = site.open_client(), site.open_client()
        thread = (await owner.post("/api/agent/create-thread")).json()["thread_id"]
        url = f"/api/agent/threads/{thread}/events"
        ticket = Tickets(RING, time).mint(thread, ["read"], 60)

        assert (await guest.get(url, headers={"x-stream-ticket": ticket})).status_code == 200
        assert (await guest.get(url, params={"ticket": ticket})).status_code == 200
        deleted = await guest.delete(f"/api/agent/threads/{thread}", headers={"x-stream-ticket": ticket})
        assert_error(deleted, 403, "forbidden")
        old = Tickets(RING, lambda: NOW).mint(thread, ["read"], 60)
        for wrong in (old, ticket[:-1], "nonsense"):
            assert_error(await owner.get(url, headers={"x-stream-ticket": wrong}), 403, "forbidden")


async def a_link_with_an_old_ticket_still_opens_the_page(make: MakeSite) -> None:
    async with make(identify=None) as site:
        assert (await site(None).get("/api/index?ticket=nonsense")).status_code == 200


async def an_authorize_of_ones_own_decides(make: MakeSite) -> None:
    """Sync or async; it is asked with the user, the thread and the action."""
    questions: list[tuple[str, str, str]] = []

    async def authorize(user: Any, thread: str, action: str) -> bool:
        questions.append((user.subject, thread, action))
        return action == "leave"

    async with make(authorize=authorize) as site:
        replies = await calls_on(site("bob"), "t")

        assert [reply.status_code for reply in replies] == [403, 200, *[403] * 8]
        wanted = ["join", "leave", "run", "run", "cancel", "cancel", "approve", "read", "read", "delete"]
        assert questions == [("bob", "t", action) for action in wanted]


async def pages_of_other_sites_are_refused(make: MakeSite) -> None:
    """The page of this host may call, and those of the list; others get no answer that they could read."""
    allowed = "https://app.example.com"
    async with make(settings=Settings(allowed_origins=(allowed,))) as site:
        for origin in (BASE, allowed):
            reply = await _create(site, origin)
            assert reply.status_code == 200
            assert reply.headers["access-control-allow-origin"] == origin
            assert reply.headers["access-control-allow-credentials"] == "true"
            assert reply.headers["vary"] == "Origin"
        for origin in ("https://evil.example", "null", "", f"{allowed}.evil.example", "http://app.example.com"):
            reply = await _create(site, origin)
            assert_error(reply, 403, "forbidden")
            assert "access-control-allow-origin" not in reply.headers
        assert "access-control-allow-origin" not in (await site().post("/api/agent/create-thread")).headers


async def _create(site: Site, origin: str) -> httpx.Response:
    return await site().post("/api/agent/create-thread", headers={"origin": origin})


async def errors_can_be_read_by_allowed_pages(make: MakeSite) -> None:
    async with make() as site:
        reply = await site(None).post("/api/agent/create-thread", headers={"origin": BASE})

        assert_error(reply, 401)
        assert reply.headers["access-control-allow-origin"] == BASE


async def preflights_are_answered(make: MakeSite) -> None:
    """Without credentials, as browsers send them; the methods and headers that the API uses."""
    async with make() as site:
        for path in ("/api/agents/Robot/run", "/api/agent/threads/t"):
            reply = await site(None).options(path, headers={"origin": BASE, "access-control-request-method": "POST"})
            assert reply.status_code == 204
            assert reply.headers["access-control-allow-origin"] == BASE
            assert "DELETE" in reply.headers["access-control-allow-methods"]
            allowed = reply.headers["access-control-allow-headers"].split(", ")
            assert {"content-type", "idempotency-key", "x-wait-for-response", "x-requested-with"} <= set(allowed)
            refused = await site(None).options(path, headers={"origin": "https://evil.example"})
            assert "access-control-allow-origin" not in refused.headers


async def callers_are_bounded(make: MakeSite) -> None:
    """Each by a rate of their own; what is refused changes nothing."""
    async with make(settings=Settings(limits=Limits(requests_per_minute=3))) as site:
        statuses = [(await site().get("/api/agent/negotiate")).status_code for _ in range(3)]
        refused = await site().post("/api/agent/create-thread")

        assert statuses == [200, 200, 200]
        assert_error(refused, 429, "busy")
        assert int(refused.headers["retry-after"]) >= 1
        assert (await site("bob").get("/api/agent/negotiate")).status_code == 200
        assert (await site().get("/api/health")).status_code == 200


CHECKS: tuple[Check, ...] = (
    a_stranger_changes_nothing,
    nobody_learns_what_exists,
    somebody_unknown_is_refused,
    a_service_may_use_any_thread,
    service_keys_are_checked,
    a_cookie_makes_everybody_somebody,
    a_ticket_shares_a_thread,
    a_link_with_an_old_ticket_still_opens_the_page,
    an_authorize_of_ones_own_decides,
    pages_of_other_sites_are_refused,
    errors_can_be_read_by_allowed_pages,
    preflights_are_answered,
    callers_are_bounded,
)
