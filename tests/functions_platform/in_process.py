"""A worker in this process, for an app object that shares a test's variables."""

from __future__ import annotations

import asyncio
import concurrent.futures
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Final

from agent_framework_durabletask import run_agent_coroutine
from azure.durable_functions.models.utils import http_utils

from tests.functions_platform.library import RUNTIME, create_library
from tests.functions_platform.threads import LoopThread

if TYPE_CHECKING:
    from tests.functions_platform.data import Function, Invocation, Outcome

__all__ = ["InProcessWorker"]

#: How long functions may go on when the platform ends, and once more when they were cancelled.
_GRACE_S: Final = 5.0


class InProcessWorker:
    """Executes the functions of an app object of this process; it cannot be killed.

    `app.get_functions()` works once per app, so an app has one worker.
    """

    def __init__(self, app: object, *, threads: int = 32, runtime: bool = RUNTIME, grace_s: float = _GRACE_S) -> None:
        self._library = create_library(app, threads=threads, runtime=runtime)
        self._grace_s = grace_s
        self._executing: dict[concurrent.futures.Future[Outcome], str] = {}
        self._stack = AsyncExitStack()
        self.alive = False

    async def start(self) -> list[Function]:
        self._main = LoopThread("functions-worker-main")
        self._stack.push_async_callback(self._main.aclose)
        self._stack.push_async_callback(asyncio.to_thread, self._library.close)
        self._stack.push_async_callback(_close_durable_client)
        self._stack.push_async_callback(self._end_functions)
        self._others = await asyncio.to_thread(run_agent_coroutine, _tasks())
        self.alive = True
        return await self._main.run(self._library.index())

    async def invoke(self, invocation: Invocation) -> Outcome:
        work = self._library.invoke(invocation, self._main.loop)
        future = asyncio.run_coroutine_threadsafe(work, self._main.loop)
        self._executing[future] = invocation.function
        future.add_done_callback(self._executing.pop)
        return await asyncio.wrap_future(future)

    async def _end_functions(self) -> None:
        """Wait for the functions that are executing.

        Raises:
            AssertionError: they wait for something that did not come; what they had on the framework's loop has
                been cancelled, so that their threads end.
        """
        stuck = await self._wait()
        if not stuck:
            return
        await asyncio.to_thread(run_agent_coroutine, _cancel(await self._new_tasks()))
        for future in await self._wait():
            future.cancel()
        raise AssertionError(f"the platform has ended while functions were executing: {', '.join(stuck.values())}")

    async def _wait(self) -> dict[concurrent.futures.Future[Outcome], str]:
        executing = dict(self._executing)
        await asyncio.to_thread(concurrent.futures.wait, executing, self._grace_s)
        return {future: name for future, name in executing.items() if not future.done()}

    async def _new_tasks(self) -> set[asyncio.Task[object]]:
        return await asyncio.to_thread(run_agent_coroutine, _tasks()) - self._others

    async def aclose(self) -> None:
        self.alive = False
        await self._stack.aclose()


async def _tasks() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


async def _cancel(tasks: set[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0)


async def _close_durable_client() -> None:
    """Close the durable client's HTTP session, which it keeps for the process and on the loop that used it first.

    A worker never does: its process ends. The lock remembers the loop on which two callers met.
    """
    session = http_utils._client_session
    if session is not None and not session.closed:
        with suppress(RuntimeError):  # its loop has ended
            future = asyncio.run_coroutine_threadsafe(session.close(), session._loop)
            await asyncio.wrap_future(future)
    http_utils._client_session = None
    http_utils._session_lock = asyncio.Lock()
