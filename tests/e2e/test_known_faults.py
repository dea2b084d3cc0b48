"""The faults of the sample that its page was to blame for, each shown closed with the real page in Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from streamsink.backends.gateway.messages import Invocation
from streamsink.demo.scripted import Pause, Text
from tests.e2e.browser import ask, browser, ended
from tests.hosts.functions.support import on_agent_loop, running_site
from tests.hosts.support import Gate, Model, make_agent, until

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.hosts.functions.support import FunctionsSite

pytestmark = pytest.mark.service


async def live(page: Page) -> None:
    """Soon: an open run that is silent for long makes the page join again, whatever else is wrong."""
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live", timeout=10_000)


def connections(site: FunctionsSite) -> set[str]:
    return {client.connection_id for client in site.service.hub("streamsink").clients()}


@on_agent_loop
async def test_fault_7_the_page_adopts_a_foreign_conversation() -> None:
    """What a service sends it of a thread that it has not joined is not shown, and changes nothing."""
    async with running_site(identify=None) as site, browser() as visitor:
        page = await visitor.page(f"{site.platform.url}/api/index")
        await ask(page, "hello")
        await ended(page, 1)
        mine = page.url
        # What the page would expect next, but for whose it is.
        last = (await site.events(mine.partition("#thread=")[2]))[-1][1]
        for i, target in enumerate(("userMessage", "agentStarted", "agentMessage", "agentDone"), 1):
            said = {"text": "swordfish", "messageId": "m", "mode": "append", "offset": 0, "status": "completed"}
            event = {**last, **said, "conversationId": "foreign", "correlationId": "theirs", "seq": last["seq"] + i}
            site.service.hub("streamsink").send(Invocation(target, [event]))
        await ask(page, "still mine?")
        await ended(page, 2)

        assert page.url == mine
        assert "swordfish" not in await page.content()
        await expect(page.locator("article.run")).to_have_count(2)


@on_agent_loop
async def test_fault_8_nobody_joins_again_after_a_reconnect() -> None:
    """The page comes back on a new connection, with a new token, and misses nothing of the answer."""
    one, two = Gate(), Gate()
    model = Model([Text("before "), Pause(one), Text("meanwhile "), Pause(two), Text("after")])
    async with running_site(make_agent(model), identify=None) as site, browser() as visitor:
        page = await visitor.page(f"{site.platform.url}/api/index")
        await ask(page, "go")
        await expect(page.locator("article.run")).to_contain_text("before")
        old = connections(site)

        site.service.faults.expire_tokens()
        site.service.faults.cut_clients()
        one.opened.set()
        await until(lambda: bool(connections(site) - old))
        await live(page)
        await expect(page.locator("article.run")).to_contain_text("before meanwhile")
        two.opened.set()

        await ended(page, 1)
        await expect(page.locator("article.run .items")).to_have_text("before meanwhile after")


@on_agent_loop
async def test_fault_9_a_join_that_failed_is_ignored() -> None:
    """The page is not live before it has joined, tries again, and shows what was said meanwhile."""
    async with running_site(identify=None) as site, browser() as visitor:
        fault = site.service.faults.inject("join", status=500)
        page = await visitor.page(f"{site.platform.url}/api/index")
        await ask(page, "hello")
        await until(lambda: site.service.faults.happened[fault] > 3)
        await expect(page.locator("#connection")).not_to_have_attribute("data-state", "live")

        site.service.faults.remove(fault)

        await ended(page, 1)
        await live(page)
        await expect(page.locator("article.run .items")).to_have_text("Hello there")


@on_agent_loop
async def test_fault_9_a_refused_join_is_said() -> None:
    async with running_site(identify=None) as site, browser() as visitor:
        theirs = await site.thread("somebody else")

        page = await visitor.page(f"{site.platform.url}/api/index#thread={theirs}")

        await expect(page.locator("#notices")).to_contain_text("not yours")
        await expect(page.locator("article.run")).to_have_count(0)


@on_agent_loop
async def test_fault_14_events_arrive_in_any_order_and_a_reload_is_empty() -> None:
    """A service that doubles and reorders what it is given: the page shows every word once, in its place, and again
    after a reload."""
    words = " ".join(f"word{i}" for i in range(150))
    agent = make_agent(lambda messages, options: [Text(words)], token_s=0.01)
    async with running_site(agent, identify=None) as site, browser() as visitor:
        swapped = site.service.faults.inject("send", reorder=True, probability=0.4)
        doubled = site.service.faults.inject("send", duplicate=True, probability=0.4)
        page = await visitor.page(f"{site.platform.url}/api/index")
        await ask(page, "go")
        await ended(page, 1)

        await expect(page.locator("article.run .items")).to_have_text(words)
        assert site.service.faults.happened[swapped] > 0
        assert site.service.faults.happened[doubled] > 0

        await page.reload()
        await ended(page, 1)
        await expect(page.locator("article.run .said")).to_contain_text("go")
        await expect(page.locator("article.run .items")).to_have_text(words)
