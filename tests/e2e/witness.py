"""A person with one tab, played by the official client in Node, who is told what to do while a test goes on."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["Witness", "witness"]

_SCRIPT: Final = Path(__file__).with_name("witness.mjs")
_WAIT_S: Final = 30.0


class Witness:
    """What one tab shows.

    Attributes:
        seen: the newest ``{"status", "runs": [{"status", "text", "messages"}], "joins"}``.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.seen: dict[str, Any] = {}

    async def do(self, **told: Any) -> None:
        """Give it one order."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        await self._process.stdin.drain()

    async def until(self, shows: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What it shows, once that is so."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_WAIT_S):
            while not (self.seen and shows(self.seen)):
                line = await self._process.stdout.readline()
                assert line, "the witness has left"
                self.seen = json.loads(line)
        return self.seen

    async def live(self) -> dict[str, Any]:
        """Wait until it is connected and joined."""
        return await self.until(lambda seen: bool(seen["status"]["connection"] == "live"))


@asynccontextmanager
async def witness(url: str, thread: str, **headers: str) -> AsyncIterator[Witness]:
    """A tab on a thread, live."""
    node = shutil.which("node")
    assert node is not None, "Node is needed for the browser client's tests: https://nodejs.org"
    process = await asyncio.create_subprocess_exec(
        node, str(_SCRIPT), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        tab = Witness(process)
        await tab.do(
            baseUrl=url, threadId=thread, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )
        await tab.live()
        yield tab
    finally:
        process.kill()
        await process.communicate()
