"""The contract: stopping runs, and answering what tools ask."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agent_framework import tool

from streamsink.demo.scripted import Pause, Text, ToolCall

from .contract_checking import assert_error
from .support import NO_WAIT, Gate, Model, Site, make_agent, said

if TYPE_CHECKING:
    import httpx

    from .contract_checking import Check, MakeSite

BOTH = 2


@tool(approval_mode="always_require")
async def erase(name: str) -> str:
    """Erase something."""  # asynchronous: virtual time does not wait for worker threads
    return f"erased {name}"


def eraser(*more: list[Any], name: str = "Robot") -> tuple[Any, Model]:
    """An agent that wants to erase x, and then says so."""
    model = Model([ToolCall("erase", {"name": "x"}, call_id="call_1")], [Text("Done.")], *more)
    return make_agent(model, tools=[erase], name=name), model


async def approve(
    site: Site, thread: str, approval_id: str, approved: Any = True, *, agent: str = "Robot", **headers: str
) -> httpx.Response:
    body = {"approvalId": approval_id, "approved": approved}
    url = f"/api/agents/{agent}/approve"
    return await site().post(url, params={"thread_id": thread}, json=body, headers={**NO_WAIT, **headers})


async def asked(site: Site, thread: str) -> str:
    """The id of what the tool asks."""
    return next(str(data["approvalId"]) for target, data in await site.events(thread) if target == "agentApproval")


async def a_cancel_ends_what_runs(make: MakeSite) -> None:
    """What was said stays; what it names is what it reached; again it reaches nothing."""
    gate = Gate()
    async with make(make_agent(Model([Text("Half"), Pause(gate), Text(" whole")]))) as site:
        thread = await site.thread()
        run = (await site.run(thread)).json()["correlation_id"]
        await gate.reached.wait()
        url = f"/api/agents/Robot/cancel?thread_id={thread}&correlation_id={run}"

        reply = await site().post(url)

        assert reply.status_code == 202
        assert reply.json() == {"status": "cancelling", "thread_id": thread, "correlation_ids": [run]}
        assert await site.done(thread) == [("cancelled", None)]
        assert said(await site.events(thread)) == "Half"
        again = await site().post(url)
        assert (again.status_code, again.json()["correlation_ids"]) == (202, [])


async def a_cancel_without_an_id_ends_everything(make: MakeSite) -> None:
    """The running one and those that wait."""
    gate = Gate()
    async with make(make_agent(Model([Pause(gate)]))) as site:
        thread, other = await site.thread(), await site.thread()
        ids = [(await site.run(thread)).json()["correlation_id"] for _ in range(3)]
        await gate.reached.wait()

        reply = await site().post(f"/api/agents/Robot/cancel?session_id={thread}")

        assert reply.json()["correlation_ids"] == ids
        assert await site.done(thread, 3) == [("cancelled", None)] * 3
        assert (await site().post(f"/api/agents/Robot/cancel?thread_id={other}")).json()["correlation_ids"] == []


async def a_cancelled_caller_gets_what_was_said(make: MakeSite) -> None:
    gate = Gate()
    async with make(make_agent(Model([Text("Half"), Pause(gate)]))) as site:
        thread = await site.thread()
        waiting = asyncio.create_task(site.run(thread, x_wait_for_response="true"))
        await gate.reached.wait()
        await site().post(f"/api/agents/Robot/cancel?thread_id={thread}")

        reply = await waiting

        assert (reply.status_code, reply.json()["status"], reply.json()["response"]) == (200, "cancelled", "Half")


async def a_cancel_names_a_run_that_there_is(make: MakeSite) -> None:
    async with make() as site:
        thread = await site.thread()
        url = f"/api/agents/Robot/cancel?thread_id={thread}"
        assert_error(await site().post(f"{url}&correlation_id=unknown"), 404, "not_found")
        assert_error(await site().post(f"{url}&correlation_id="), 400, "invalid_request")
        assert_error(await site().post("/api/agents/Robot/cancel"), 400, "invalid_request")
        assert_error(await site().post("/api/agents/Robot/approve", json={}), 400, "invalid_request")


async def an_approval_lets_the_tool_run(make: MakeSite) -> None:
    """The answer is a run of its own; its message says what was answered."""
    agent, _ = eraser()
    async with make(agent) as site:
        thread = await site.thread()
        await site.ask(thread)

        reply = await approve(site, thread, await asked(site, thread), **{"x-wait-for-response": "true"})

        assert (reply.status_code, reply.json()["response"]) == (200, "Done.")
        events = await site.events(thread)
        answer = [data for target, data in events if target == "userMessage"][1]
        assert answer["approval"] == {"approvalId": await asked(site, thread), "approved": True}
        assert [data["result"] for target, data in events if target == "agentToolResult"] == ["erased x"]


async def a_refusal_keeps_the_tool_from_running(make: MakeSite) -> None:
    agent, _ = eraser()
    async with make(agent) as site:
        thread = await site.thread()
        await site.ask(thread)

        assert (await approve(site, thread, await asked(site, thread), approved=False)).status_code == 202

        assert await site.done(thread, BOTH) == [("completed", None)] * 2
        results = [data.get("result") for target, data in await site.events(thread) if target == "agentToolResult"]
        assert "erased x" not in results


async def an_answer_counts_once(make: MakeSite) -> None:
    """The same answer again is the same run, at the same time or later; the opposite one is a conflict."""
    agent, model = eraser()
    async with make(agent) as site:
        thread = await site.thread()
        await site.ask(thread)
        request = await asked(site, thread)

        replies = await asyncio.gather(*(approve(site, thread, request) for _ in range(3)))
        await site.done(thread, BOTH)
        later = await approve(site, thread, request)

        assert {reply.status_code for reply in (*replies, later)} == {202}
        assert len({reply.json()["correlation_id"] for reply in (*replies, later)}) == 1
        assert_error(await approve(site, thread, request, approved=False), 409, "conflict")
        assert len(model.heard) == BOTH


async def opposite_answers_at_once_are_one_answer(make: MakeSite) -> None:
    agent, _ = eraser()
    async with make(agent) as site:
        thread = await site.thread()
        await site.ask(thread)
        request = await asked(site, thread)

        replies = await asyncio.gather(*(approve(site, thread, request, value) for value in (True, False)))

        assert sorted(reply.status_code for reply in replies) == [202, 409]
        assert len(await site.done(thread, BOTH)) == BOTH


async def only_what_was_asked_can_be_answered(make: MakeSite) -> None:
    """Not an unknown request, not another agent's, not on another thread; and the answer is true or false."""
    first, _ = eraser(name="First")
    second, _ = eraser(name="Second")
    async with make(first, second) as site:
        thread, other = await site.thread(), await site.thread()
        await site.ask(thread, agent="First")
        request = await asked(site, thread)

        assert_error(await approve(site, thread, "unknown", agent="First"), 404, "not_found")
        assert_error(await approve(site, thread, request, agent="Second"), 404, "not_found")
        assert_error(await approve(site, other, request, agent="First"), 404, "not_found")
        for value in (None, "true", 1, "no"):
            assert_error(await approve(site, thread, request, value, agent="First"), 400, "invalid_request")
        assert (await approve(site, thread, request, agent="First")).status_code == 202
        await site.done(thread, BOTH)


async def two_agents_may_ask_on_one_thread(make: MakeSite) -> None:
    """Each answer reaches the agent that asked."""
    agents = [eraser(name=name)[0] for name in ("First", "Second")]
    async with make(*agents) as site:
        thread = await site.thread()
        for name in ("First", "Second"):
            await site.ask(thread, agent=name)
        events = await site.events(thread)
        requests = {data["agentName"]: str(data["approvalId"]) for target, data in events if target == "agentApproval"}

        for name, request in requests.items():
            reply = await approve(site, thread, request, agent=name, **{"x-wait-for-response": "true"})
            assert reply.status_code == 200, reply.text
            assert reply.json()["response"] == "Done."


async def a_conversation_may_move_on_without_an_answer(make: MakeSite) -> None:
    """The request stays answerable; the model never sees a call without a result."""
    agent, model = eraser([Text("As you like.")])
    async with make(agent) as site:
        thread = await site.thread()
        await site.ask(thread)

        assert await site.ask(thread, "Never mind") == "Done."

        kinds = {content.type for message in model.messages[-1] for content in message.contents}
        assert kinds == {"text"}
        assert (await approve(site, thread, await asked(site, thread))).status_code == 202
        assert (await site.done(thread, 3))[2] == ("completed", None)


CHECKS: tuple[Check, ...] = (
    a_cancel_ends_what_runs,
    a_cancel_without_an_id_ends_everything,
    a_cancelled_caller_gets_what_was_said,
    a_cancel_names_a_run_that_there_is,
    an_approval_lets_the_tool_run,
    a_refusal_keeps_the_tool_from_running,
    an_answer_counts_once,
    opposite_answers_at_once_are_one_answer,
    only_what_was_asked_can_be_answered,
    two_agents_may_ask_on_one_thread,
    a_conversation_may_move_on_without_an_answer,
)
