"""Clients in processes of their own: commands go in, events come out, one JSON object per line."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE = Path(__file__).parent


class Client:
    """The client's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._in, self._out = process.stdin, process.stdout

    def do(self, command: str, **fields: Any) -> None:
        self._in.write(json.dumps({"command": command, **fields}).encode() + b"\n")

    async def expect(self, event: str) -> dict[str, Any]:
        """The next event, which must be this one."""
        line = await asyncio.wait_for(self._out.readline(), 20)
        found: dict[str, Any] = json.loads(line)
        assert found.pop("event") == event, found
        return found

    async def expect_end(self) -> int:
        """The process ends by itself; its exit code."""
        assert await asyncio.wait_for(self._out.readline(), 20) == b""
        return await self._process.wait()


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[Client]:
    """A client's process; killed on leaving."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Client(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def node(url: str, mode: str = "plain", transport: str = "WebSockets", protocol: str = "json") -> tuple[str, ...]:
    """The official JavaScript client in Node."""
    executable = shutil.which("node")
    if executable is None:
        raise AssertionError("Node is needed for the tests of the JavaScript client: https://nodejs.org")
    return (executable, str(HERE / "signalr_client.mjs"), url, mode, transport, protocol)


def python(name: str, *arguments: str) -> tuple[str, ...]:
    """One of the Python clients."""
    return (sys.executable, str(HERE / f"{name}_client.py"), *arguments)
