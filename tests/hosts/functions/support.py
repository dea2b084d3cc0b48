"""The Functions host on the emulated platform, seen from outside.

What is ours lives on the framework's loop, so that is where tests run that share events with an agent's script.
"""

from __future__ import annotations

import functools
import os
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from unittest.mock import patch

import httpx
from agent_framework_durabletask import run_agent_coroutine

from streamsink.backends.signalr.twin import Twin, twin
from streamsink.core.delivery import ConnectInfo
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings
from streamsink.hosts.functions import StreamFunctionApp
from streamsink.testing.clock import without_leaks
from streamsink.testing.signalr import SignalRClient, signalr_client
from tests.functions_platform import FunctionsPlatform, InProcessWorker
from tests.hosts.support import BASE, Site, make_agent, named

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from streamsink.core.identity import Authorize, Identify

_P = ParamSpec("_P")
_T = TypeVar("_T")

RING = SecretRing({"0": "s" * 40})


def on_agent_loop(test: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, _T]:
    """Run a coroutine function, for example a test, on the framework's loop."""

    @functools.wraps(test)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return run_agent_coroutine(without_leaks(test(*args, **kwargs)))

    return run


@dataclass
class FunctionsSite(Site):
    """A running Functions host.

    Attributes:
        platform: what runs it.
        service: what delivers for it.
    """

    app: StreamFunctionApp = field(kw_only=True)
    platform: FunctionsPlatform = field(kw_only=True)
    service: Twin = field(kw_only=True)

    async def state(self, thread: str, agent: str = "Robot") -> list[dict[str, Any]]:
        """What an agent's entity remembers of a thread: requests and responses."""
        state = await self.platform.entity_state(f"dafx-{agent}", thread)
        return [] if state is None else list(state["data"]["conversationHistory"])

    @asynccontextmanager
    async def browser(self, thread: str, user: str = "ann") -> AsyncIterator[SignalRClient]:
        """A client of the delivering service that has joined the thread, as the page does."""
        told = (await self(user).get("/api/agent/negotiate")).json()
        async with signalr_client(ConnectInfo(told["url"], told["accessToken"])) as client:
            join = {"group": thread, "connectionId": client.connection_id, "after": ""}
            reply = await self(user).post("/api/agent/join-group", json=join)
            assert reply.status_code == 200, reply.text
            yield client


@asynccontextmanager
async def environment(**more: str) -> AsyncIterator[Twin]:
    """A twin, and the environment of an app that delivers through it."""
    async with twin() as service:
        wanted = {"AzureSignalRConnectionString": service.connection_string, "STREAM_BACKEND": "signalr", **more}
        with patch.dict(os.environ, wanted):
            yield service


@asynccontextmanager
async def serving(app: StreamFunctionApp) -> AsyncIterator[FunctionsPlatform]:
    """The app on the platform, in a worker of this process."""
    try:
        async with FunctionsPlatform(InProcessWorker(app)) as platform:
            yield platform
    finally:
        await app.aclose()


@asynccontextmanager
async def running_site(
    *agents: Any,
    settings: Settings | None = None,
    identify: Identify | None = named,
    authorize: Authorize | None = None,
    extend: Callable[[Any], None] = lambda app: None,
    environ: Mapping[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[FunctionsSite]:
    """The Functions host; to be entered on the framework's loop.

    Args:
        agents: one that greets, unless given.
        extend: gives the app functions of its own.
        environ: more of the environment.
        options: further ones of the app.
    """
    settings = settings or Settings()
    environ = dict(environ or {})
    history = environ.get("STREAM_HISTORY")
    settings = replace(settings, backend="signalr", history=history, secret=settings.secret or RING)
    async with environment(**environ) as service:
        app = StreamFunctionApp(
            list(agents) or [make_agent()], settings=settings, identify=identify, authorize=authorize, **options
        )
        extend(app)
        async with serving(app) as platform:
            async with AsyncExitStack() as clients:

                def open_client(**options: Any) -> httpx.AsyncClient:
                    headers = {"host": BASE.removeprefix("http://"), **options.pop("headers", {})}
                    client = httpx.AsyncClient(base_url=platform.url, headers=headers, timeout=20, **options)
                    clients.push_async_callback(client.aclose)
                    return client

                sink = (await app._parts.get()).sink
                yield FunctionsSite(sink, open_client, app=app, platform=platform, service=service)
            await platform.idle()
