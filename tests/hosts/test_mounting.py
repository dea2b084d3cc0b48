"""The app inside somebody else's: under a prefix, with their login and their lifespan."""

from __future__ import annotations

import runpy
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from streamsink.core.delivery import ConnectInfo
from streamsink.core.settings import Settings
from streamsink.hosts.asgi import StreamApp
from streamsink.testing.clock import virtual_time
from streamsink.testing.serving import serving
from streamsink.testing.signalr import signalr_client

from .contract_checking import assert_error
from .support import BASE, make_agent, named, running_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

EXAMPLE = Path(__file__).parents[2] / "examples" / "mounted.py"
PREFIX = "/deep/chat"


def in_starlette(streams: StreamApp) -> Any:
    async def own(request: Any) -> PlainTextResponse:
        return PlainTextResponse("mine")

    return Starlette(routes=[Route("/own", own), Mount(PREFIX, streams)], lifespan=_lifespan(streams))


def in_fastapi(streams: StreamApp) -> Any:
    app = FastAPI(lifespan=_lifespan(streams))

    @app.get("/own", response_class=PlainTextResponse)
    async def own() -> str:
        return "mine"

    app.mount(PREFIX, streams)
    return app


def _lifespan(streams: StreamApp) -> Callable[[Any], Any]:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        async with streams.running():
            yield

    return lifespan


@pytest.mark.parametrize("mount", [in_starlette, in_fastapi])
@virtual_time
async def test_everything_works_under_a_prefix(mount: Callable[[StreamApp], Any]) -> None:
    """URLs that are given out carry the prefix; what is beside the mount stays the outer app's."""
    async with running_site(wrap=mount, base_url=f"{BASE}{PREFIX}") as site:
        thread = await site.thread()
        assert await site.ask(thread) == "Hello there"
        negotiated = (await site().get("/api/agent/negotiate")).json()
        assert negotiated["url"].startswith(f"{BASE}{PREFIX}/client/?hub=")
        assert (await site().get(f"/api/agent/threads/{thread}/events")).status_code == 200
        assert (await site().get("/api/static/app.js")).status_code == 200
        assert_error(await site().get("/api/nothing"), 404)
        refused = await site().get("/api/agent/create-thread")
        assert_error(refused, 405)
        assert refused.headers["allow"] == "OPTIONS, POST"
        assert (await site.open_client(base_url=BASE).get("/own")).text == "mine"
        gateway = f"/client/negotiate?{negotiated['url'].partition('?')[2]}&negotiateVersion=1"
        connecting = await site(None).post(gateway, headers={"authorization": f"Bearer {negotiated['accessToken']}"})
        assert "connectionId" in connecting.json()


@virtual_time
async def test_a_root_path_of_the_server_is_part_of_the_url() -> None:
    """A proxy that strips a prefix, or a server that keeps it in the path (ASGI allows either)."""

    def behind(path: bool) -> Callable[[StreamApp], Any]:
        def wrap(app: StreamApp) -> Any:
            async def outer(scope: Any, receive: Any, send: Any) -> None:
                more = {"root_path": "/proxy", **({"path": f"/proxy{scope['path']}"} if path else {})}
                await app({**scope, **more}, receive, send)

            return outer

        return wrap

    for path in (True, False):
        async with running_site(wrap=behind(path)) as site:
            url = (await site().get("/api/agent/negotiate")).json()["url"]
            assert url.startswith(f"{BASE}/proxy/client/")
            assert await site.ask(await site.thread()) == "Hello there"


@virtual_time
async def test_mounted_but_not_running_says_what_to_do() -> None:
    app = StreamApp([make_agent()], settings=Settings(), identify=named)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(in_starlette(app)), base_url=BASE)

    for path in ("/api/health", "/api/index", "/client/negotiate"):
        assert "streams.running()" in assert_error(await client.get(f"{PREFIX}{path}"), 503, "unavailable")


@pytest.mark.service
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_example_runs() -> None:
    """Log in, ask, see the answer arrive over a real connection; without a login 401."""
    app = runpy.run_path(str(EXAMPLE))["app"]
    async with serving(app, lifespan=True) as url, httpx.AsyncClient(base_url=url, timeout=10) as http:
        assert (await http.post("/chat/api/agent/create-thread")).status_code == 401
        page = await http.get("/login", params={"name": "ann"}, follow_redirects=True)
        assert "TravelPlanner" in page.text
        thread = (await http.post("/chat/api/agent/create-thread")).json()["thread_id"]
        info = (await http.get("/chat/api/agent/negotiate")).json()
        async with signalr_client(ConnectInfo(info["url"], info["accessToken"])) as client:
            body = {"group": thread, "connectionId": client.connection_id}
            assert (await http.post("/chat/api/agent/join-group", json=body)).json()["status"] == "joined"
            ask = f"/chat/api/agents/TravelPlanner/run?thread_id={thread}"
            await http.post(ask, json={"message": "Hello"}, headers={"x-wait-for-response": "false"})
            [done] = await client.until(1, target="agentDone")
            assert done.data["status"] == "completed"
