"""Nodes as people run them: ``streamsink serve`` in processes of their own, which can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from streamsink.backends.signalr.twin import twin
from tests.e2e.places import Azure
from tests.e2e.proxy import CuttingProxy, forwarding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.e2e.places import Place

__all__ = ["Fleet", "fleet", "strangers"]

_ROOT: Final = Path(__file__).parents[2]
_COMMAND: Final = ("-c", "from streamsink.cli import main; main()", "serve", "tests.e2e.agents:agents", "--port", "0")
_START_S: Final = 20.0


class Fleet:
    """Processes behind a balancer.

    Args:
        settings: environment variables of all of them.

    Attributes:
        balancer: gives each connection to the next of them that takes it.
        nodes: those that were started and not ended by a test, by their URLs.
    """

    def __init__(self, settings: dict[str, str]) -> None:
        self._settings = settings
        self.balancer = CuttingProxy([])
        self.nodes: dict[str, asyncio.subprocess.Process] = {}

    async def start(self) -> str:
        """One more node; gives its URL, once it serves."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *_COMMAND,
            stdout=asyncio.subprocess.PIPE,
            cwd=_ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self._settings},
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_START_S):
                line = (await process.stdout.readline()).decode()
            url = line.split()[1].removesuffix("/api/index")
        except BaseException:
            await _end(process, signal.SIGKILL)
            raise
        self.nodes[url] = process
        self.balancer.targets.append(url)
        return url

    async def end(self, url: str, how: signal.Signals = signal.SIGKILL) -> int:
        """End a node; gives its exit code. The balancer is told by refused connections, as real ones are."""
        return await _end(self.nodes.pop(url), how)

    async def aclose(self) -> None:
        for process in self.nodes.values():
            await _end(process, signal.SIGKILL)


async def _end(process: asyncio.subprocess.Process, how: signal.Signals) -> int:
    if process.returncode is None:
        process.send_signal(how)
    await process.communicate()
    assert process.returncode is not None
    return process.returncode


@asynccontextmanager
async def fleet(on: Place, *, token_interval_s: float = 0.02, **settings: Any) -> AsyncIterator[tuple[str, Fleet]]:
    """``on.nodes`` nodes; gives the URL of their balancer, and themselves.

    Args:
        settings: further ``STREAM_*`` variables.
    """
    environ = {
        **on.environ,
        "STREAM_SECRET": f"k1:{'s' * 48}",
        "STREAM_REQUESTS_PER_MINUTE": "1000000",
        "TOKEN_INTERVAL_S": str(token_interval_s),
        **{f"STREAM_{name.upper()}": str(value) for name, value in settings.items()},
    }
    async with AsyncExitStack() as stack:
        if isinstance(on, Azure):
            service = await stack.enter_async_context(twin(faults=on.faults))
            environ["STREAM_SIGNALR_CONNECTION_STRING"] = service.connection_string
        together = Fleet(environ)
        stack.push_async_callback(together.aclose)
        for _ in range(on.nodes):
            await together.start()
        yield f"http://127.0.0.1:{await stack.enter_async_context(forwarding(together.balancer))}", together


async def strangers(url: str, count: int) -> list[dict[str, str]]:
    """Headers of people who come for the first time: each gets the cookie of a user of their own."""
    headers = []
    for _ in range(count):
        async with httpx.AsyncClient() as http:
            await http.get(f"{url}/api/index")
            headers.append({"cookie": "; ".join(f"{name}={value}" for name, value in http.cookies.items())})
    return headers
