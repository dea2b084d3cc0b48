"""The contract: runs that wait for each other, and how many there may be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streamsink.core.settings import Limits, Settings
from streamsink.demo.scripted import Pause, Text

from .contract_checking import assert_error
from .support import NO_WAIT, Gate, Model, make_agent

if TYPE_CHECKING:
    from .contract_checking import Check, MakeSite

RUN = "/api/agents/Robot/run"


async def a_queue_is_bounded(make: MakeSite) -> None:
    """Runs of one agent on one thread wait for each other; past the bound 429, with the time to wait."""
    gate = Gate()
    model = Model([Pause(gate), Text("one")], [Text("two")])
    async with make(make_agent(model), settings=Settings(limits=Limits(queue_limit=2))) as site:
        thread = await site.thread()
        assert [(await site.run(thread, text)).status_code for text in ("1", "2")] == [202, 202]

        refused = await site.run(thread, "3")

        assert_error(refused, 429, "busy")
        assert int(refused.headers["retry-after"]) >= 1
        await gate.reached.wait()
        assert len(model.heard) == 1
        gate.opened.set()
        assert await site.done(thread, 2) == [("completed", None)] * 2
        assert model.heard[1] == ["user: 1", "assistant: one", "user: 2"]


async def different_agents_run_at_once(make: MakeSite) -> None:
    """On one thread, each with a memory of its own."""
    gate, second = Gate(), Model([Text("I am second")])
    agents = make_agent(Model([Pause(gate), Text("I am first")]), name="First"), make_agent(second, name="Second")
    async with make(*agents) as site:
        thread = await site.thread()
        await site.run(thread, "Hi", agent="First")

        assert await site.ask(thread, "You", agent="Second") == "I am second"

        gate.opened.set()
        await site.done(thread, 2)
        assert second.heard == [["user: You"]]


async def open_runs_of_a_user_are_bounded(make: MakeSite) -> None:
    """Over all threads, also when they are asked for at once; others are not affected; an end makes room."""
    gate = Gate()
    agent = make_agent(lambda messages, options: [Pause(gate), Text("ok")])
    async with make(agent, settings=Settings(limits=Limits(max_runs_per_user=3))) as site:
        threads = [await site.thread() for _ in range(5)]

        replies = await asyncio.gather(*(site.run(thread) for thread in threads))

        assert sorted(reply.status_code for reply in replies) == [202, 202, 202, 429, 429]
        assert (await site().post(RUN, json={"message": "Hi"}, headers={"x-user": "bob", **NO_WAIT})).status_code == 202
        gate.opened.set()
        running = next(thread for thread, reply in zip(threads, replies, strict=True) if reply.status_code == 202)
        await site.done(running)
        await asyncio.sleep(1)
        assert (await site.run(running)).status_code == 202


CHECKS: tuple[Check, ...] = (
    a_queue_is_bounded,
    different_agents_run_at_once,
    open_runs_of_a_user_are_bounded,
)
