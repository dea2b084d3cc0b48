"""A language worker in a process of its own, as on the platform: it can be killed in the middle of a function."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tests.functions_platform.data import Function, Outcome
from tests.functions_platform.library import RUNTIME
from tests.functions_platform.workers import WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.functions_platform.data import Invocation

__all__ = ["ProcessWorker"]

_ROOT: Final = Path(__file__).parents[2]
_START_S: Final = 30.0
#: A line holds a whole state or page.
_MAX_LINE_BYTES: Final = 64 * 2**20


class ProcessWorker:
    """Executes the functions of a `function_app.py`.

    Args:
        script: the file; its folder is the process's working directory and in its path, as on the platform.
        env: settings, added to this process's environment.
        python: the interpreter, which has the app's packages.
        runtime: through Microsoft's worker library, which that interpreter has too.
    """

    def __init__(
        self,
        script: Path,
        *,
        env: Mapping[str, str] | None = None,
        python: str = sys.executable,
        runtime: bool = RUNTIME,
    ) -> None:
        self._script = script
        self._python = python
        self._runtime = runtime
        self._env = {**os.environ, "PYTHONPATH": str(_ROOT), **(env or {})}
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}
        self._ended: Future[None] = Future()
        self._reading: asyncio.Task[None] | None = None
        self.alive = False

    async def start(self) -> list[Function]:
        self._process = await asyncio.create_subprocess_exec(
            self._python,
            *("-m", "tests.functions_platform.child", self._script.name, "runtime" if self._runtime else "direct"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=self._script.parent,
            env=self._env,
            limit=_MAX_LINE_BYTES,
        )
        self.alive = True
        self._reading = asyncio.create_task(self._read(), name="functions-worker-reader")
        self._indexed: asyncio.Future[list[Function]] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(_START_S):
            return await self._indexed

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            async for line in self._process.stdout:
                if self._indexed.done():
                    outcome = msgspec.json.decode(line, type=Outcome)
                    self._waiting.pop(outcome.id).set_result(outcome)
                else:
                    self._indexed.set_result(msgspec.json.decode(line, type=list[Function]))
        finally:
            await self._process.wait()
            self._lose()

    def _lose(self) -> None:
        self.alive = False
        error = WorkerDiedError(f"the worker process ended with {self._process.returncode}")
        if not self._indexed.done():
            self._indexed.set_exception(error)
        for answer in self._waiting.values():
            answer.set_exception(error)
        self._waiting.clear()
        self._ended.set_result(None)

    async def invoke(self, invocation: Invocation) -> Outcome:
        if not self.alive:
            raise WorkerDiedError("the worker process has ended")
        assert self._process.stdin is not None
        answer = asyncio.get_running_loop().create_future()
        self._waiting[invocation.id] = answer
        self._process.stdin.write(msgspec.json.encode(invocation) + b"\n")
        outcome: Outcome = await answer
        return outcome

    async def kill(self) -> None:
        """Kill the process (SIGKILL) and wait until its host has noticed; from any loop."""
        if self.alive:
            os.kill(self._process.pid, signal.SIGKILL)
        await asyncio.wrap_future(self._ended)

    async def aclose(self) -> None:
        if self._reading is not None:
            await self.kill()
            await self._reading
