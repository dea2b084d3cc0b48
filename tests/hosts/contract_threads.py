"""The contract: the calls about threads."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from streamsink.core.identity import User
from streamsink.demo.scripted import Pause, Text

from .contract_checking import assert_error
from .support import Gate, Model, make_agent

if TYPE_CHECKING:
    from .contract_checking import Check, MakeSite


async def a_thread_is_created(make: MakeSite) -> None:
    """Each call makes another; the answer has the id and nothing else."""
    async with make() as site:
        first, second = [await site().post("/api/agent/create-thread") for _ in range(2)]

        assert first.status_code == 200
        assert list(first.json()) == ["thread_id"]
        assert first.headers["cache-control"] == "no-store"
        assert first.json() != second.json()


async def negotiate_says_where_to_connect(make: MakeSite) -> None:
    """By GET and by POST; the URL is absolute, for the JavaScript client resolves it."""
    async with make() as site:
        for method in ("GET", "POST"):
            reply = await site().request(method, "/api/agent/negotiate?negotiateVersion=1")

            assert reply.status_code == 200
            assert set(reply.json()) == {"url", "accessToken"}
            assert re.match(r"https?://[^/]+/client/\?hub=", reply.json()["url"])
            assert reply.headers["cache-control"] == "no-store"


async def a_connection_that_is_not_there_cannot_join(make: MakeSite) -> None:
    async with make() as site:
        body = {"group": await site.thread(), "connectionId": "nobody"}

        assert_error(await site().post("/api/agent/join-group", json=body), 404, "no_such_connection")


async def leaving_twice_is_no_error(make: MakeSite) -> None:
    async with make() as site:
        thread = await site.thread()
        for _ in range(2):
            reply = await site().post("/api/agent/leave-group", json={"group": thread, "connectionId": "nobody"})

            assert (reply.status_code, reply.json()) == (200, {"status": "left", "group": thread})


async def a_replay_says_everything_after_a_cursor(make: MakeSite) -> None:
    async with make() as site:
        thread = await site.thread()
        await site.ask(thread)
        url = f"/api/agent/threads/{thread}/events"

        while (whole := (await site().get(url)).json())["snapshot"] is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # it is written after the end
        assert set(whole) == {"cursor", "reset", "snapshot", "events", "more"}
        assert whole["reset"] is True
        assert whole["more"] is False
        assert whole["snapshot"]["runs"][0]["status"] == "completed"

        await site.ask(thread)
        later = (await site().get(url, params={"after": whole["cursor"]})).json()
        assert later["reset"] is False
        assert later["snapshot"] is None
        assert [event["target"] for event in later["events"]][:2] == ["userMessage", "agentStarted"]
        assert (await site().get(url, params={"after": later["cursor"]})).json()["events"] == []


async def a_wrong_cursor_is_refused(make: MakeSite) -> None:
    async with make() as site:
        thread = await site.thread()
        for after in ("x", "1:x", "-1:1", "1:1~x", "1:1~" + "9" * 50, "9" * 4_000):
            params = {"after": after}
            reply = await site().get(f"/api/agent/threads/{thread}/events", params=params)
            assert_error(reply, 400, "invalid_request")


async def a_wrong_cursor_joins_nothing(make: MakeSite) -> None:
    """The connection is not looked at before the cursor has been."""
    async with make() as site:
        thread = await site.thread()
        for after in ("x", None, 5, ["1:1"]):
            body = {"group": thread, "connectionId": "nobody", "after": after}
            assert_error(await site().post("/api/agent/join-group", json=body), 400, "invalid_request")


async def a_cursor_that_names_no_place_begins_again(make: MakeSite) -> None:
    async with make() as site:
        thread = await site.thread()
        await site.ask(thread)

        reply = await site().get(f"/api/agent/threads/{thread}/events", params={"after": "1:1"})

        assert reply.json()["reset"] is True


async def deleting_leaves_nothing(make: MakeSite) -> None:
    """Not its events, not what the agents remember; afterwards everything answers 410, and deleting again 204."""
    model = Model([Text("one")], [Text("two")])
    async with make(make_agent(model)) as site:
        thread = await site.thread()
        await site.ask(thread, "remember me")

        for _ in range(2):
            reply = await site().delete(f"/api/agent/threads/{thread}")
            assert (reply.status_code, reply.content) == (204, b"")

        assert_error(await site().get(f"/api/agent/threads/{thread}/events"), 410, "thread_deleted")
        assert_error(await site.run(thread), 410, "thread_deleted")
        cancel = await site().post(f"/api/agents/Robot/cancel?thread_id={thread}")
        assert_error(cancel, 410, "thread_deleted")
        assert await site.events(thread) == []


async def deleting_ends_what_runs(make: MakeSite) -> None:
    """Nothing is said, and nothing remembered, after the answer to the delete."""
    gate = Gate()
    async with make(make_agent(Model([Text("half"), Pause(gate), Text(" whole")]))) as site:
        thread = await site.thread()
        await site.run(thread)
        await site.run(thread)  # and one that waits for it
        await gate.reached.wait()

        assert (await site().delete(f"/api/agent/threads/{thread}")).status_code == 204

        gate.opened.set()
        assert await site.events(thread) == []
        assert_error(await site().get(f"/api/agent/threads/{thread}/events"), 410)


async def a_registered_id_is_its_owners(make: MakeSite) -> None:
    """An id that was not minted here is nobody's until it is registered, and is forgotten when it is deleted."""
    async with make() as site:
        assert_error(await site.run("order-66"), 403)
        await site.sink.register("order-66", User(subject="ann").id)

        assert (await site.run("order-66")).status_code == 202
        assert_error(await site.run("order-66", user="bob"), 403)
        assert (await site().delete("/api/agent/threads/order-66")).status_code == 204
        assert_error(await site.run("order-66"), 403)


CHECKS: tuple[Check, ...] = (
    a_thread_is_created,
    negotiate_says_where_to_connect,
    a_connection_that_is_not_there_cannot_join,
    leaving_twice_is_no_error,
    a_replay_says_everything_after_a_cursor,
    a_wrong_cursor_is_refused,
    a_wrong_cursor_joins_nothing,
    a_cursor_that_names_no_place_begins_again,
    deleting_leaves_nothing,
    deleting_ends_what_runs,
    a_registered_id_is_its_owners,
)
