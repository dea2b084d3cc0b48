"""The whole path: the page in Chromium, functions, entities, the agent, the backend, a service that delivers.

What the official client is given is read off its sockets: each event of the thread once, in order.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import pytest
from playwright.async_api import expect

from streamsink.backends.signalr.twin import Twin, twin
from streamsink.demo.scripted import Pause, Text, ToolCall
from streamsink.hosts.functions import StreamFunctionApp
from streamsink.testing.valkey import free_port
from tests.e2e.browser import ask, browser, ended, shown
from tests.e2e.world import story
from tests.functions_platform import FunctionsPlatform, ProcessWorker
from tests.hosts.contract_control import erase
from tests.hosts.functions.support import on_agent_loop, running_site, serving
from tests.hosts.support import Gate, make_agent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from agent_framework import Agent, Message
    from playwright.async_api import Page, WebSocket

    from streamsink.demo.scripted import Reply
    from streamsink.testing.valkey import ValkeyServer
    from tests.e2e.browser import Visitor

pytestmark = pytest.mark.service

SCRIPT: Final = Path(__file__).with_name("function_app.py")
SECRET: Final = "s" * 40
END: Final = "\x1e"
APART_S: Final = 0.3


class Tab:
    """A page, and the events that its sockets have brought."""

    def __init__(self) -> None:
        self.page: Page
        self.events: list[tuple[str, dict[str, Any]]] = []

    def listen(self, page: Page) -> None:
        page.on("websocket", self._open)

    def _open(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._take)

    def _take(self, frame: str | bytes) -> None:
        text = frame if isinstance(frame, str) else frame.decode()
        for message in filter(None, text.split(END)):
            read = json.loads(message)
            if read.get("type") == 1:
                self.events.append((read["target"], read["arguments"][0]))

    def check(self) -> None:
        """All of one thread and one epoch, each once, in order."""
        assert len({(data["conversationId"], data["epoch"]) for _, data in self.events}) == 1
        assert [data["seq"] for _, data in self.events] == list(range(1, len(self.events) + 1))


async def open_tab(visitor: Visitor, url: str) -> Tab:
    tab = Tab()
    visitor.context.on("page", tab.listen)
    tab.page = await visitor.page(f"{url}/api/index")
    return tab


async def answer(page: Page, number: int) -> str:
    items = page.locator("article.run").nth(number - 1).locator(".items")
    return str(await items.evaluate("items => items.textContent.trim()"))


def moody() -> tuple[Agent[Any], Gate]:
    """An agent that tells stories; asks before it erases; fails, or waits at the gate, when it is told to."""
    gate = Gate()

    def script(messages: Sequence[Message], options: Mapping[str, Any]) -> Reply:
        said = messages[-1]
        if said.role == "tool":
            return [Text("It is gone.")]
        replies: dict[str, Reply] = {
            "erase": [ToolCall("erase", {"name": "x"}, call_id="call_1")],
            "fail": [Text("Half an "), ValueError("swordfish")],
            "wait": [Text("The beginning stays. "), Pause(gate), Text("never")],
        }
        return replies.get(said.text, [Text(story(said.text))])

    return make_agent(script, tools=[erase], token_s=0.002), gate


async def two_turns(tab: Tab, name: str) -> None:
    for turn in (1, 2):
        await ask(tab.page, f"{name}{turn}")
        await ended(tab.page, turn)


@on_agent_loop
async def test_two_people_with_everything_that_may_happen_to_them() -> None:
    """Turns at the same time, an approval, a failure, a stop, a reload; nobody hears of the other."""
    agent, gate = moody()
    async with running_site(agent, identify=None) as site, browser() as one, browser() as other:
        ann, bob = await open_tab(one, site.platform.url), await open_tab(other, site.platform.url)
        await asyncio.gather(two_turns(ann, "ann"), two_turns(bob, "bob"))
        for name, tab in (("ann", ann), ("bob", bob)):
            assert [await answer(tab.page, turn) for turn in (1, 2)] == [story(f"{name}{turn}") for turn in (1, 2)]

        page = ann.page
        await ask(page, "erase")
        await page.get_by_role("button", name="Approve", exact=True).click()
        await ended(page, 4)
        await expect(page.locator("article.run").nth(3)).to_contain_text("It is gone.")
        await ask(page, "fail")
        await ended(page, 1, "failed")
        await ask(page, "wait")
        await expect(page.locator("article.run").nth(5)).to_contain_text("The beginning stays.")
        await gate.reached.wait()
        await page.keyboard.press("Escape")
        await ended(page, 1, "cancelled")
        await ask(page, "ann3")
        await ended(page, 5)

        assert "swordfish" not in await page.content()
        assert "ann" not in await bob.page.locator("#log").inner_text()
        for tab, runs in ((ann, 7), (bob, 2)):
            tab.check()
            assert [target for target, _ in tab.events].count("agentDone") == runs
        before = await shown(page)
        await page.reload()
        await ended(page, 5)
        assert await shown(page) == before


@dataclass
class Deployed:
    """The app in worker processes.

    Attributes:
        environ: of a worker like any other.
    """

    platform: FunctionsPlatform
    workers: list[ProcessWorker]
    service: Twin
    environ: dict[str, str]


@asynccontextmanager
async def processes(valkey: ValkeyServer, *workers: dict[str, str]) -> AsyncIterator[Deployed]:
    """So many, with what each has in its environment beside the others'."""
    async with twin() as service:
        environ = {
            "AzureSignalRConnectionString": service.connection_string,
            "STREAM_BACKEND": "signalr",
            "STREAM_HISTORY": "redis",
            "STREAM_REDIS_URL": valkey.url,
            "STREAM_SECRET": SECRET,
            "WEBSITE_INSTANCE_ID": "0",
        }
        first = [ProcessWorker(SCRIPT, env={**environ, **each}) for each in workers]
        async with FunctionsPlatform(*first) as platform:
            yield Deployed(platform, first, service, environ)
            await platform.idle()


async def test_two_people_on_two_workers(valkey: ValkeyServer) -> None:
    """Calls and runs go to the workers in turn; a second tab and a reload show what the first one does."""
    async with processes(valkey, {}, {}) as app, browser() as one, browser() as other:
        ann, bob = await open_tab(one, app.platform.url), await open_tab(other, app.platform.url)
        await asyncio.gather(two_turns(ann, "ann"), two_turns(bob, "bob"))

        for name, tab in (("ann", ann), ("bob", bob)):
            assert [await answer(tab.page, turn) for turn in (1, 2)] == [story(f"{name}{turn}") for turn in (1, 2)]
            tab.check()
        before = await shown(ann.page)
        second = await one.page(ann.page.url)
        await ann.page.reload()
        for page in (second, ann.page):
            await ended(page, 2)
            assert await shown(page) == before


async def test_an_answer_is_stopped_in_the_worker_that_gives_it(valkey: ValkeyServer) -> None:
    hanging = {"HANG": "1"}
    async with processes(valkey, hanging, hanging) as app, browser() as visitor:
        tab = await open_tab(visitor, app.platform.url)
        half = story("go")[: len(story("go")) // 2].strip()
        await ask(tab.page, "go")
        await expect(tab.page.locator("article.run .items")).to_have_text(half)

        await tab.page.keyboard.press("Escape")

        await ended(tab.page, 1, "cancelled")
        assert await answer(tab.page, 1) == half
        tab.check()


async def test_a_worker_is_killed_in_the_middle_of_an_answer(valkey: ValkeyServer) -> None:
    """The page says that the answer was interrupted, and shows the whole one of the worker that carries on."""
    async with processes(valkey, {"HANG": "1"}) as app, browser() as visitor:
        tab = await open_tab(visitor, app.platform.url)
        run = tab.page.locator("article.run")
        await ask(tab.page, "go")
        half = story("go")[: len(story("go")) // 2]
        await expect(run.locator(".items")).to_have_text(half.strip())

        states: list[str] = []
        await tab.page.expose_function("note", lambda status: states.append(status))
        await tab.page.evaluate(
            "new MutationObserver(() => note(document.querySelector('article.run').dataset.status))"
            ".observe(document.querySelector('article.run'), {attributeFilter: ['data-status']})"
        )
        # One by one, so that a page that is busy sees the interruption before the new beginning.
        app.service.faults.inject("send", delay_s=APART_S)
        await app.workers[0].kill()
        await app.platform.add_worker(ProcessWorker(SCRIPT, env=app.environ))
        await ended(tab.page, 1)

        assert await answer(tab.page, 1) == story("go")
        assert list(dict.fromkeys(states)) == ["interrupted", "running", "completed"]
        tab.check()
        told = [(target, data["attempt"]) for target, data in tab.events if target != "agentMessage"]
        assert told[0][0] == "userMessage"
        assert told[1:] == [("agentStarted", 1), ("agentInterrupted", 1), ("agentStarted", 2), ("agentDone", 2)]


@asynccontextmanager
async def gateway(environ: dict[str, str], port: int) -> AsyncIterator[None]:
    """`streamsink gateway`, in a process of its own."""
    command = (sys.executable, "-m", "streamsink", "gateway", "--port", str(port))
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, **environ}
    )
    try:
        async with asyncio.timeout(20):
            assert process.stdout is not None
            assert b"Clients connect" in await process.stdout.readline()
        yield
    finally:
        process.kill()
        await process.communicate()


@on_agent_loop
async def test_clients_of_a_gateway_elsewhere(valkey: ValkeyServer) -> None:
    """`STREAM_BACKEND=redis`: functions publish to Redis, and the page connects to a gateway of another origin."""
    port = free_port()
    environ = {"STREAM_BACKEND": "redis", "STREAM_REDIS_URL": valkey.url, "STREAM_SECRET": SECRET}
    async with AsyncExitStack() as stack:
        with patch.dict(os.environ, {**environ, "STREAM_GATEWAY_URL": f"http://127.0.0.1:{port}"}):
            app = StreamFunctionApp([make_agent(lambda messages, options: [Text(story(messages[-1].text))])])
            platform = await stack.enter_async_context(serving(app))
            elsewhere = {**environ, "STREAM_ALLOWED_ORIGINS": platform.url}
            await stack.enter_async_context(gateway(elsewhere, port))
            visitor = await stack.enter_async_context(browser())
            tab = await open_tab(visitor, platform.url)

            await two_turns(tab, "ann")

            assert [await answer(tab.page, turn) for turn in (1, 2)] == [story("ann1"), story("ann2")]
            tab.check()
            await platform.idle()
