"""What a tool asks a person, over entities that pass no session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamsink.demo.scripted import Text, ToolCall
from tests.hosts.contract_control import approve, asked, erase
from tests.hosts.support import Model, make_agent

from .support import on_agent_loop, running_site

if TYPE_CHECKING:
    from agent_framework import Message

CALL = ToolCall("erase", {"name": "x"}, call_id="call_1")
WAIT = {"x-wait-for-response": "true"}


def contents(messages: list[Message]) -> list[tuple[str, str]]:
    return [(str(message.role), content.type) for message in messages for content in message.contents]


async def answer(site: Any, thread: str, approved: bool) -> str:
    reply = await approve(site, thread, await asked(site, thread), approved, **WAIT)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["response"])


@on_agent_loop
async def test_what_was_approved_is_remembered_as_models_accept_it() -> None:
    """In the next turn the model sees the call, right before its result, and nothing of the asking."""
    model = Model([Text("Shall I?"), CALL], [Text("Done.")], [Text("As I said.")])
    async with running_site(make_agent(model, tools=[erase])) as site:
        thread = await site.thread()
        await site.ask(thread, "Erase x")
        assert await answer(site, thread, True) == "Done."

        await site.ask(thread, "And?")

        assert contents(model.messages[2]) == [
            ("user", "text"),
            ("assistant", "text"),
            ("user", "text"),
            ("assistant", "function_call"),
            ("tool", "function_result"),
            ("assistant", "text"),
            ("user", "text"),
        ]
        assert model.heard[2][2] == "user: Approved."


@on_agent_loop
async def test_what_was_declined_does_not_run() -> None:
    model = Model([CALL], [Text("Then not.")], [Text("As I said.")])
    async with running_site(make_agent(model, tools=[erase])) as site:
        thread = await site.thread()
        await site.ask(thread, "Erase x")
        assert await answer(site, thread, False) == "Then not."

        await site.ask(thread, "And?")

        assert "user: Declined." in model.heard[2]
        kinds = contents(model.messages[2])
        assert kinds.count(("assistant", "function_call")) == kinds.count(("tool", "function_result"))


@on_agent_loop
async def test_an_answer_whose_result_was_lost_is_not_given_again() -> None:
    """The redelivered operation finds the terminal; the session that asked has been let go."""
    model = Model([CALL], [Text("Done.")])
    async with running_site(make_agent(model, tools=[erase])) as site:
        thread = await site.thread()
        await site.ask(thread)
        site.platform.faults.redeliver_next()

        assert await answer(site, thread, True) == "Done."
        await site.platform.idle()

        assert len(model.heard) == 2
        assert await site.done(thread, 2) == [("completed", None)] * 2


@on_agent_loop
async def test_two_requests_of_one_run_are_answered_one_by_one() -> None:
    calls = [ToolCall("erase", {"name": name}, call_id=f"call_{name}") for name in ("x", "y")]
    model = Model(calls, [Text("One.")], [Text("Both.")])
    async with running_site(make_agent(model, tools=[erase])) as site:
        thread = await site.thread()
        await site.ask(thread)
        events = await site.events(thread)
        requests = [data["approvalId"] for target, data in events if target == "agentApproval"]
        assert len(requests) == 2

        for request in requests:
            assert (await approve(site, thread, request, True, **WAIT)).status_code == 200

        assert await site.done(thread, 3) == [("completed", None)] * 3
        results = [data for target, data in await site.events(thread) if target == "agentToolResult"]
        assert sorted(str(result["result"]) for result in results) == ["erased x", "erased y"]
