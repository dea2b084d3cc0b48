"""Each accepted run ends in exactly one terminal, and no tool runs twice, whatever framework and platform do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import msgspec
from agent_framework import AgentResponseUpdate, ResponseStream, tool
from agent_framework_durabletask import AgentEntity

from streamsink.core.conversation import Conversation
from streamsink.core.errors import UnavailableError
from streamsink.core.measures import Measures
from streamsink.core.runs import RunRequest
from streamsink.core.settings import Settings, Times
from streamsink.demo.scripted import Pause, Text, ToolCall
from tests.hosts.attempt_support import Plain, update
from tests.hosts.contract_checking import assert_error
from tests.hosts.support import Gate, Model, make_agent, said, until

from .support import on_agent_loop, running_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from streamsink.core.runs import Batch

    from .support import FunctionsSite

SEND_S = 0.5
FAILED = [("failed", "agent_error")]
COMPLETED = [("completed", None)]


class Till:
    """A tool that counts how often it is used."""

    def __init__(self) -> None:
        self.used = 0

        @tool
        async def charge(amount: int) -> str:
            """Take money."""
            self.used += 1
            return f"charged {amount}"

        self.tool = charge


CALL = ToolCall("charge", {"amount": 5}, call_id="call_1")


async def shown(site: FunctionsSite, thread: str) -> dict[str, Any]:
    """The thread's one run, as a reader is shown it in the end."""
    conversation = Conversation()
    for target, data in await site.events(thread):
        conversation.apply(target, data)
    (run,) = conversation.state["runs"]
    return dict(msgspec.json.decode(msgspec.json.encode(run, enc_hook=str)))


def texts(run: dict[str, Any]) -> list[str]:
    return [item["text"] for item in run["items"] if "text" in item]


@on_agent_loop
async def test_a_failure_before_anything_was_said_is_told() -> None:
    model = Model([ValueError("swordfish")])
    async with running_site(make_agent(model)) as site:
        thread = await site.thread()
        await site.run(thread)

        assert await site.done(thread) == FAILED
        assert len(model.heard) == 1
        assert "swordfish" not in str(await site.events(thread))


@on_agent_loop
async def test_a_failure_while_it_streams_runs_no_tool_again() -> None:
    """The framework would run the agent again, without streaming, after any exception but one."""
    till = Till()
    model = Model([Text("Charging. "), CALL], [Text("You have"), ConnectionError("swordfish")])
    async with running_site(make_agent(model, tools=[till.tool])) as site:
        thread = await site.thread()
        await site.run(thread)

        assert await site.done(thread) == FAILED
        await site.platform.idle()
        assert (till.used, len(model.heard)) == (1, 2)
        assert said(await site.events(thread)) == "Charging. You have"
        (request, response) = await site.state(thread)
        assert (request["$type"], response["$type"]) == ("request", "response")


@on_agent_loop
async def test_a_failure_after_the_last_token_is_told() -> None:
    """While the framework makes the response of what was streamed."""

    async def stream() -> AsyncIterator[AgentResponseUpdate]:
        yield update("All of it")

    def broken(updates: Any) -> Any:
        raise RuntimeError("no response")

    agent = Plain(lambda _: ResponseStream(stream(), finalizer=broken))
    agent.create_session = make_agent().create_session  # type: ignore[method-assign]
    async with running_site(agent) as site:
        thread = await site.thread()
        await site.run(thread, agent="Plain")

        assert await site.done(thread) == FAILED
        assert agent.calls == [True]


@on_agent_loop
async def test_a_store_that_is_gone_at_the_end_runs_no_tool_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal could not be written, and the agent has been executed: a sweep writes one later."""
    till = Till()
    model = Model([CALL], [Text("Done.")])
    settings = Settings(times=Times(lease_s=1, redelivery_s=0.1))
    async with running_site(make_agent(model, tools=[till.tool]), settings=settings) as site:
        site.sink.options = replace(site.sink.options, give_up_s=0.2)
        thread = await site.thread()
        send = site.sink.send

        async def broken(thread: str, batch: Batch) -> Any:
            if batch.terminal is not None:
                raise UnavailableError("the store cannot be reached")
            return await send(thread, batch)

        with monkeypatch.context() as patch:
            patch.setattr(site.sink, "send", broken)
            await site.run(thread)
            await site.platform.idle()
            assert (till.used, len(model.heard)) == (1, 2)

        assert await site.done(thread) == [("failed", "producer_lost")]


@on_agent_loop
async def test_an_operation_that_never_reaches_the_agent_ends_its_run() -> None:
    """Here the framework cannot read what the entity remembers."""
    model = Model()
    async with running_site(make_agent(model)) as site:
        thread = await site.thread()
        with patch.object(AgentEntity, "run", side_effect=ValueError("unreadable")):
            await site.run(thread)

            assert await site.done(thread) == FAILED
        assert model.heard == []


@on_agent_loop
async def test_an_app_may_keep_the_second_try() -> None:
    """It replaces what the first one said: a reader shows one answer, and nothing of both."""
    till = Till()
    model = Model([CALL], [Text("You have"), ConnectionError()], [CALL], [Text("You have paid twice.")])
    async with running_site(make_agent(model, tools=[till.tool]), keep_rerun=True) as site:
        thread = await site.thread()

        assert await site.ask(thread) == "You have paid twice."

        assert till.used == 2
        assert await site.done(thread) == COMPLETED
        events = await site.events(thread)
        assert [data["attempt"] for target, data in events if target == "agentInterrupted"] == [1]
        run = await shown(site, thread)
        assert (run["attempt"], run["status"], texts(run)) == (2, "completed", ["You have paid twice."])


@on_agent_loop
async def test_a_second_try_that_fails_too_is_a_failure() -> None:
    model = Model([ConnectionError()], [ConnectionError()])
    async with running_site(make_agent(model), keep_rerun=True) as site:
        thread = await site.thread()
        await site.run(thread)

        assert await site.done(thread) == FAILED
        assert len(model.heard) == 2


@on_agent_loop
async def test_a_second_try_that_the_framework_does_not_make_is_a_failure() -> None:
    """It makes none after some exceptions, and calls nobody."""
    model = Model([TypeError("no")])
    async with running_site(make_agent(model), keep_rerun=True) as site:
        thread = await site.thread()
        await site.run(thread)

        assert await site.done(thread) == FAILED


@on_agent_loop
async def test_a_redelivered_operation_gets_the_stored_answer() -> None:
    """Its result was lost after the run had ended: the entity remembers the answer, and no model is asked."""
    model = Model([Text("Once")])
    async with running_site(make_agent(model)) as site:
        thread = await site.thread()
        site.platform.faults.redeliver_next()

        assert await site.ask(thread) == "Once"
        await site.platform.idle()

        assert len(model.heard) == 1
        assert await site.done(thread) == COMPLETED
        (_, response) = await site.state(thread)
        assert response["messages"][0]["contents"][0]["text"] == "Once"


@on_agent_loop
async def test_an_operation_that_comes_twice_is_remembered_once() -> None:
    """Its result was saved: the framework would add question and answer to its memory again."""
    model = Model([Text("Once")])
    async with running_site(make_agent(model)) as site:
        thread = await site.thread()
        name = (await site.run(thread)).json()["correlation_id"]
        await site.platform.idle()

        again = {"message": "Hi", "correlationId": name, "streamsink": {}}
        await site.platform.signal("dafx-Robot", thread, "run", again)
        await site.platform.idle()

        assert len(model.heard) == 1
        assert len(await site.state(thread)) == 2


@on_agent_loop
async def test_a_redelivered_failure_fails_again() -> None:
    model = Model([ConnectionError()])
    async with running_site(make_agent(model)) as site:
        thread = await site.thread()
        site.platform.faults.redeliver_next()
        await site.run(thread)
        await site.platform.idle()

        assert len(model.heard) == 1
        assert await site.done(thread) == FAILED


@on_agent_loop
async def test_a_dead_worker_is_shown_and_its_run_executed_again() -> None:
    """The attempt that it had begun is interrupted, and the next one replaces what it said."""
    model = Model([Text("Whole")])
    async with running_site(make_agent(model)) as site:
        thread = await site.thread()
        with site.platform.faults.held_batches():
            name = (await site.run(thread)).json()["correlation_id"]
            # What a worker does until it dies.
            request = RunRequest(correlation_id=name, agent_name="Robot")
            dead = site.sink.run(thread, request=request)
            await dead.begin()
            dead.text("Hal")
            await until(lambda: _is_said(site, thread, "Hal"))

        assert await site.done(thread) == COMPLETED
        events = await site.events(thread)
        assert [(data["attempt"], data.get("text")) for target, data in events if target == "agentMessage"] == [
            (1, "Hal"),
            (2, "Whole"),
        ]
        targets = [target for target, _ in events]
        assert targets.index("agentInterrupted") < targets.index("agentStarted", 2)
        assert texts(await shown(site, thread)) == ["Whole"]


async def _is_said(site: FunctionsSite, thread: str, text: str) -> bool:
    return said(await site.events(thread)) == text


@on_agent_loop
async def test_the_end_is_delivered_before_the_operation_returns() -> None:
    """Afterwards the platform may stop the process, and nobody would try again."""
    async with running_site() as site:
        thread = await site.thread()
        async with site.browser(thread) as browser:
            site.service.faults.inject("send", status=500, probability=1, count=12)
            await site.run(thread)
            await site.platform.entity_state("dafx-Robot", thread)  # the operation has returned

            measures = site.sink.ability(Measures)
            assert measures is not None
            assert measures.levels()["late"] == 0
            (done,) = await browser.until(target="agentDone")
            assert done.data["status"] == "completed"


@on_agent_loop
async def test_a_cancel_reaches_the_entity_and_leaves_its_memory() -> None:
    gate = Gate()
    model = Model([Text("Half"), Pause(gate), Text(" whole")], [Text("Yes")])
    async with running_site(make_agent(model)) as site:
        thread = await site.thread()
        await site.run(thread, "Tell")
        await gate.reached.wait()

        reply = await site().post(f"/api/agents/Robot/cancel?thread_id={thread}")

        assert reply.status_code == 202
        assert await site.done(thread) == [("cancelled", None)]
        assert await site.ask(thread, "Go on?") == "Yes"
        assert model.heard[1] == ["user: Tell", "assistant: Half", "user: Go on?"]


@on_agent_loop
async def test_a_cancelled_tool_call_is_not_remembered() -> None:
    """Model APIs refuse a call without a result."""
    gate = Gate()

    @tool
    async def slow() -> str:
        """Take long."""
        await gate()
        return "late"

    model = Model([Text("Looking. "), ToolCall("slow", {}, call_id="call_1")], [Text("Yes")])
    async with running_site(make_agent(model, tools=[slow])) as site:
        thread = await site.thread()
        await site.run(thread, "Tell")
        await gate.reached.wait()
        await site().post(f"/api/agents/Robot/cancel?thread_id={thread}")
        await site.done(thread)

        await site.ask(thread, "Go on?")

        assert {content.type for message in model.messages[1] for content in message.contents} == {"text"}


@on_agent_loop
async def test_a_run_that_was_cancelled_before_it_began_asks_no_model() -> None:
    model = Model()
    async with running_site(make_agent(model)) as site:
        thread = await site.thread()
        with site.platform.faults.held_batches():
            await site.run(thread)
            await site().post(f"/api/agents/Robot/cancel?thread_id={thread}")
        await site.platform.idle()

        assert await site.done(thread) == [("cancelled", None)]
        assert model.heard == []


@on_agent_loop
async def test_runs_whose_signals_overtake_each_other_are_executed() -> None:
    """The entity sees to it that there is one at a time; the timeline does not refuse the later one's signal."""
    async with running_site() as site:
        thread = await site.thread()
        site.platform.faults.reorder_next_signals(3)
        for text in ("1", "2", "3"):
            assert (await site.run(thread, text)).status_code == 202

        assert await site.done(thread, 3) == COMPLETED * 3


@on_agent_loop
async def test_a_signal_that_is_refused_ends_its_run() -> None:
    async with running_site() as site:
        thread = await site.thread()
        site.platform.faults.refuse_signals()

        assert_error(await site.run(thread), 503, "unavailable")

        assert await site.done(thread) == FAILED
        assert await site.ask(thread) == "Hello there"


@on_agent_loop
async def test_a_signal_that_arrives_although_it_was_refused_asks_no_model() -> None:
    model = Model()
    async with running_site(make_agent(model)) as site:
        thread = await site.thread()
        site.platform.faults.refuse_signals(executed=True)
        with site.platform.faults.held_batches():
            assert_error(await site.run(thread), 503, "unavailable")
        await site.platform.idle()

        assert await site.done(thread) == FAILED
        assert model.heard == []


@on_agent_loop
async def test_a_slow_delivery_does_not_slow_the_agent() -> None:
    """500 ms for each send: the model says its 200 tokens before a second one is over, and the answer needs few."""
    sends: list[int] = []
    text = " ".join(f"t{i}" for i in range(200))
    agent = make_agent(lambda messages, options: [Pause(note), Text(text), Pause(note)])
    async with running_site(agent) as site:
        measures = site.sink.ability(Measures)
        assert measures is not None

        async def note() -> None:
            sends.append(measures.measure()["messages"])

        site.service.faults.inject("send", delay_s=SEND_S)
        assert await site.ask(await site.thread()) == text
        await note()

    before, after, at_the_end = sends
    assert after - before <= 1
    assert at_the_end - before <= 5
