"""Language workers: what executes the functions, apart from the host that tells it to.

As on the platform a worker has one main loop, where coroutine functions run, and threads for the others; a host
and its workers share nothing but messages.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from azure.durable_functions.models.utils import http_utils

from tests.functions_platform.library import RUNTIME, create_library
from tests.functions_platform.threads import LoopThread

if TYPE_CHECKING:
    from tests.functions_platform.data import Function, Invocation, Outcome

__all__ = ["InProcessWorker", "Worker", "WorkerDiedError"]


class WorkerDiedError(Exception):
    """The worker ended before it answered: nobody knows how far it came."""


class Worker(Protocol):
    @property
    def alive(self) -> bool: ...

    async def start(self) -> list[Function]:
        """Start, and say which functions there are."""
        ...

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Execute a function.

        Raises:
            WorkerDiedError: see there.
        """
        ...

    async def aclose(self) -> None: ...


class InProcessWorker:
    """Executes the functions of an app object of this process; it cannot be killed.

    `app.get_functions()` works once per app, so an app has one worker.
    """

    def __init__(self, app: object, *, threads: int = 32, runtime: bool = RUNTIME) -> None:
        self._library = create_library(app, threads=threads, runtime=runtime)
        self._main = LoopThread("functions-worker-main")
        self.alive = True

    async def start(self) -> list[Function]:
        return await self._main.run(self._library.index())

    async def invoke(self, invocation: Invocation) -> Outcome:
        return await self._main.run(self._library.invoke(invocation, self._main.loop))

    async def aclose(self) -> None:
        if self.alive:
            self.alive = False
            await close_durable_client()
            await asyncio.to_thread(self._library.close)
            await self._main.aclose()


async def close_durable_client() -> None:
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
