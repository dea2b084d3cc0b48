"""Chromium, driven from tests."""

from __future__ import annotations

import os
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from playwright.async_api import async_playwright, expect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import BrowserContext, Page

__all__ = ["Visitor", "ask", "browser", "ended", "shown"]

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_WAIT_MS: Final = 20_000
_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_OF_THE_NETWORK = ("Failed to load resource", "ERR_", "closed before receiving a handshake response")


def _executable() -> str:
    named = os.environ.get("CHROMIUM")
    found = named or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        raise AssertionError(
            "Chromium is needed for the page's tests: install it (Debian: apt-get install chromium; macOS: "
            "brew install --cask chromium), or set CHROMIUM to the path of a Chromium or Chrome"
        )
    return found


class Visitor:
    """One person's browser: pages that share their cookies, and what went wrong in them."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.troubles: list[str] = []

    async def page(self, url: str) -> Page:
        """A new tab, at ``url``."""
        page = await self.context.new_page()
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("console", self._note)
        await page.goto(url)
        return page

    def _note(self, message: Any) -> None:
        # The network's own complaints are part of the tests that cut it; a page's, and the policy's, never are.
        if message.type == "error" and not any(words in message.text for words in _OF_THE_NETWORK):
            self.troubles.append(message.text)


@asynccontextmanager
async def browser(**context: Any) -> AsyncIterator[Visitor]:
    """A fresh visitor.

    Args:
        context: as Playwright's ``new_context`` takes it: viewport, color_scheme …

    Raises:
        AssertionError: there is no browser; or the page complained, on leaving.
    """
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=_executable(), args=list(_ARGUMENTS))
        try:
            visitor = Visitor(await chromium.new_context(**context))
            visitor.context.set_default_timeout(_WAIT_MS)
            expect.set_options(timeout=_WAIT_MS)
            yield visitor
        finally:
            await chromium.close()
    if visitor.troubles:
        raise AssertionError(f"the page complained: {visitor.troubles}")


async def ask(page: Page, text: str) -> None:
    """Write a message, and send it."""
    await expect(page.locator("#loading")).to_be_hidden()
    await page.get_by_label("Your message").fill(text)
    await page.keyboard.press("Enter")


async def ended(page: Page, count: int, status: str = "completed") -> None:
    """Wait until so many runs are shown to have ended so."""
    await expect(page.locator(f"article.run[data-status={status}]")).to_have_count(count)


async def shown(page: Page) -> str:
    """Every word of the conversation, folded parts included; the clock times depend on nothing else."""
    return str(await page.locator("#log").evaluate("log => log.textContent"))
