"""The official client in Chromium, on a page whose origin is not the gateway's: CORS, query tokens, preflights."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.testing.serving import serving as serving_app
from tests.e2e.browser import browser

from .server import ANN, Server, complaints, serving
from .support import make_event

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.service

HERE = Path(__file__).parent
BUILDS = Path(__file__).parents[3] / "node_modules" / "@microsoft"
FILES = {
    "/": (HERE / "signalr_page.html", b"text/html"),
    "/signalr.js": (BUILDS / "signalr/dist/browser/signalr.min.js", b"text/javascript"),
    "/signalr-protocol-msgpack.js": (
        BUILDS / "signalr-protocol-msgpack/dist/browser/signalr-protocol-msgpack.min.js",
        b"text/javascript",
    ),
}
WAYS = [
    ("WebSockets", "json"),
    ("WebSockets", "messagepack"),
    ("ServerSentEvents", "json"),
    ("LongPolling", "json"),
    ("LongPolling", "messagepack"),
]


class Site:
    """The page, its libraries and the application's negotiate; the gateway is elsewhere."""

    def __init__(self) -> None:
        self.contents = {path: (file.read_bytes(), kind) for path, (file, kind) in FILES.items()}
        self.gateway: Server

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/api/agent/negotiate":
            await self.gateway(scope, receive, send)
            return
        body, kind = self.contents[scope["path"]]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body})


async def told(page: Page, event: str) -> dict[str, Any]:
    """The next event, which must be this one."""
    await page.wait_for_function("events.length > 0")
    found: dict[str, Any] = await page.evaluate("events.shift()")
    assert found.pop("event") == event, found
    return found


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
async def test_a_page_of_another_origin(way: tuple[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """Checks 14, 18, 30, 44, 46, 47 and 67: connect, receive, invoke, reconnect, close."""
    site = Site()
    async with serving_app(site) as origin, serving(allow_origin=lambda asked, _: asked == origin) as gateway:
        site.gateway = gateway
        async with browser() as visitor:
            page = await visitor.page(origin)
            connection_id = await page.evaluate("([t, p]) => start(t, p, true)", list(way))
            await gateway.delivery.join("t", connection_id, user_id=ANN.id)

            await gateway.delivery.deliver("t", [make_event(1, text="ü"), make_event(2)])
            assert (await told(page, "message"))["data"] == {"text": "ü", "seq": 1, "epoch": "1700"}
            assert (await told(page, "message"))["data"]["seq"] == 2
            assert "Method does not exist" in await page.evaluate("invoke('Nope', 1)")

            gateway.delivery.hub.close(connection_id, allow_reconnect=True)
            await told(page, "reconnecting")
            back = (await told(page, "reconnected"))["id"]
            assert back != connection_id
            assert gateway.negotiations == 2

            gateway.delivery.hub.close(back, "bye")
            assert "bye" in (await told(page, "closed"))["error"]
            await asyncio.wait_for(gateway.is_idle(), 20)
        assert gateway.claims == 2
    assert complaints(caplog) == []


async def test_a_page_that_is_not_allowed_does_not_connect() -> None:
    """Check 14."""
    site = Site()
    async with serving_app(site) as origin, serving() as gateway:
        site.gateway = gateway
        async with browser() as visitor:
            page = await visitor.page(origin)
            failure = await page.evaluate("start('LongPolling', 'json').then(() => null, (error) => error.message)")

            assert failure is not None
            visitor.troubles = [trouble for trouble in visitor.troubles if "CORS policy" not in trouble]
        assert len(gateway.delivery.hub) == 0
