"""The Functions host on the emulated platform, seen from outside.

What is ours lives on the framework's loop, so that is where tests run that share events with an agent's script.
"""

from __future__ import annotations

import functools
import os
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from unittest.mock import patch

import httpx
from agent_framework_durabletask import run_agent_coroutine

from streamsink.backends.signalr.twin import twin
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings
from streamsink.hosts.functions import StreamFunctionApp
from streamsink.testing.clock import without_leaks
from tests.functions_platform import FunctionsPlatform, InProcessWorker
from tests.hosts.support import BASE, Site, make_agent, named

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

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


@asynccontextmanager
async def environment(**more: str) -> AsyncIterator[None]:
    """A twin, and the environment of an app that delivers through it."""
    async with twin() as service:
        wanted = {"AzureSignalRConnectionString": service.connection_string, "STREAM_BACKEND": "signalr", **more}
        with patch.dict(os.environ, wanted):
            yield


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
) -> AsyncIterator[Site]:
    """The Functions host; to be entered on the framework's loop.

    Args:
        agents: one that greets, unless given.
    """
    settings = settings or Settings()
    settings = replace(settings, backend="signalr", secret=settings.secret or RING)
    async with environment():
        app = StreamFunctionApp(
            list(agents) or [make_agent()], settings=settings, identify=identify, authorize=authorize
        )
        async with serving(app) as platform:
            async with AsyncExitStack() as clients:

                def open_client(**options: Any) -> httpx.AsyncClient:
                    headers = {"host": BASE.removeprefix("http://"), **options.pop("headers", {})}
                    client = httpx.AsyncClient(base_url=platform.url, headers=headers, timeout=20, **options)
                    clients.push_async_callback(client.aclose)
                    return client

                yield Site((await app._parts.get()).sink, open_client)
            await platform.idle()
