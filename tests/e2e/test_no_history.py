"""The official client in Node where nothing is kept (STREAM_HISTORY=none)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from agent_framework import Agent

from streamsink.demo.scripted import Pause, ScriptedChatClient, Text
from tests.e2e.witness import witness
from tests.e2e.world import AGENT, World, story, storyteller, world

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.e2e.places import Place

pytestmark = [
    pytest.mark.service,
    pytest.mark.timeout(120),
    pytest.mark.parametrize("on", ["memory-none", "signalr-none"], indirect=True),
]


class Gate:
    """A place in an answer where it is held."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self.opened.wait()


def held(*parts: Any) -> Agent:
    """An agent that says this once, and afterwards stories."""
    said: list[Sequence[Any]] = [[Text(part) if isinstance(part, str) else Pause(part) for part in parts]]

    def script(messages: Sequence[Any], options: Any) -> Sequence[Any]:
        return said.pop() if said else [Text(story(messages[-1].text))]

    return Agent(client=ScriptedChatClient(script, token_interval_s=0.002), name=AGENT)


async def thread_of(url: str, name: str) -> str:
    async with httpx.AsyncClient(base_url=url, headers={"x-test-user": name}) as http:
        return str((await http.post("/api/agent/create-thread")).json()["thread_id"])


def cut_off_the_first(app: World) -> None:
    """Whoever comes through the front cannot reach the app, and the client that connected first is cut."""
    app.front.switch()
    if app.service is not None:
        hub = app.service.hub("streamsink")
        hub.sever(hub.clients()[0].connection_id)


def ended(count: int) -> Callable[[dict[str, Any]], bool]:
    over = {"completed", "failed", "cancelled"}
    return lambda seen: len(seen["runs"]) == count and all(run["status"] in over for run in seen["runs"])


def shows(text: str) -> Callable[[dict[str, Any]], bool]:
    return lambda seen: bool(seen["runs"]) and seen["runs"][-1]["text"] == text


async def test_two_people_see_their_own_threads_and_nothing_else(on: Place) -> None:
    async with world(storyteller(), on=on) as app:
        threads = {name: await thread_of(app.url, name) for name in ("ann", "bob")}
        async with (
            witness(app.url, threads["ann"], x_test_user="ann") as ann,
            witness(app.url, threads["ann"], x_test_user="ann") as other_tab,
            witness(app.url, threads["bob"], x_test_user="bob") as bob,
        ):
            assert ann.seen["status"]["history"] == "none"
            for turn in ("one", "two"):
                await ann.do(run=[AGENT, f"ann-{turn}"])
                await bob.do(run=[AGENT, f"bob-{turn}"])
                turns = 1 if turn == "one" else 2
                for tab in (ann, other_tab, bob):
                    await tab.until(ended(turns))

            for name, tab in (("ann", ann), ("ann", other_tab), ("bob", bob)):
                assert [run["text"] for run in tab.seen["runs"]] == [story(f"{name}-one"), story(f"{name}-two")]
                assert [run["messages"] for run in tab.seen["runs"]] == [[f"{name}-one"], [f"{name}-two"]]
                assert (tab.seen["status"]["history"], tab.seen["joins"]) == ("none", 1)


async def test_a_run_is_stopped(on: Place) -> None:
    gate = Gate()
    async with world(held("half", gate, "never said"), on=on) as app:
        thread = await thread_of(app.url, "ann")
        async with witness(app.url, thread, x_test_user="ann") as tab:
            await tab.do(run=[AGENT, "go"])
            await tab.until(shows("half"))
            await tab.do(cancel=AGENT)
            [run] = (await tab.until(ended(1)))["runs"]
            assert (run["status"], run["text"]) == ("cancelled", "half")

            await tab.do(run=[AGENT, "next"])
            seen = await tab.until(ended(2))
            assert (seen["runs"][1]["status"], seen["runs"][1]["text"]) == ("completed", story("next"))


async def test_a_cut_connection_loses_what_was_said_meanwhile_and_says_so(on: Place) -> None:
    """What comes afterwards is shown, the hole is not asked for again and again, and the next run is whole."""
    one, two = Gate(), Gate()
    async with world(held("before ", one, "meanwhile ", two, "after"), on=on) as app:
        thread = await thread_of(app.url, "ann")
        async with (
            witness(app.url, thread, x_test_user="ann") as tab,
            witness(app.nodes[0], thread, x_test_user="ann") as spared,
        ):
            await tab.do(run=[AGENT, "go"])
            await tab.until(shows("before "))
            await one.reached.wait()
            cut_off_the_first(app)
            await tab.until(lambda seen: seen["status"]["connection"] != "live")
            one.opened.set()
            await spared.until(shows("before meanwhile "))
            app.front.switch(*app.nodes)
            await tab.live()
            assert tab.seen["status"]["history"] == "lost"
            two.opened.set()

            assert [run["text"] for run in (await tab.until(ended(1)))["runs"]] == ["before after"]
            assert [run["text"] for run in (await spared.until(ended(1)))["runs"]] == ["before meanwhile after"]
            joins = tab.seen["joins"]
            await tab.do(run=[AGENT, "next"])
            seen = await tab.until(ended(2))

    assert (seen["runs"][1]["status"], seen["runs"][1]["text"]) == ("completed", story("next"))
    assert seen["joins"] == joins
    assert seen["status"]["history"] == "lost"
    assert (spared.seen["status"]["history"], spared.seen["joins"]) == ("none", 1)


async def test_a_run_that_ended_while_the_connection_was_down_is_not_shown_as_running(on: Place) -> None:
    """Its text is whole when its response is still known; that a part went by is said all the same."""
    gate = Gate()
    async with world(held("before ", gate, "after"), on=on) as app:
        thread = await thread_of(app.url, "ann")
        async with (
            witness(app.url, thread, x_test_user="ann") as tab,
            witness(app.nodes[0], thread, x_test_user="ann") as spared,
        ):
            await tab.do(run=[AGENT, "go"])
            await tab.until(shows("before "))
            cut_off_the_first(app)
            await tab.until(lambda seen: seen["status"]["connection"] != "live")
            gate.opened.set()
            await spared.until(ended(1))
            app.front.switch(*app.nodes)
            seen = await tab.until(ended(1))

    assert (seen["runs"][0]["status"], seen["runs"][0]["text"]) == ("completed", "before after")
    assert seen["status"]["history"] == "lost"
