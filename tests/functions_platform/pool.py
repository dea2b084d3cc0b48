"""The workers of one function app: several language workers on one instance, or one on each of several."""

from __future__ import annotations

import itertools
import json
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from tests.functions_platform.data import Data, Invocation, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.functions_platform.activity import Activity
    from tests.functions_platform.data import Function, Outcome
    from tests.functions_platform.workers import Worker

__all__ = ["WorkerPool"]

_log: Final = logging.getLogger(__name__)


class WorkerPool:
    """Gives invocations to the workers that live, in turn; without any, they wait for the next worker."""

    def __init__(self, workers: Iterable[Worker], activity: Activity) -> None:
        self._workers = list(workers)
        self._activity = activity
        self._turn = itertools.count()
        self._ids = itertools.count(1)
        self._client = ""

    async def start(self, binding: Mapping[str, object]) -> list[Function]:
        """Start the workers; functions with a durable client are given `binding`. Return the app's functions."""
        self._client = json.dumps(binding)
        indexed = [await worker.start() for worker in self._workers]
        return indexed[0]

    async def add(self, worker: Worker) -> None:
        await worker.start()
        self._workers.append(worker)
        self._activity.changed()

    async def invoke(self, function: Function, trigger: Data) -> Outcome:
        """Execute `function` on a worker.

        Raises:
            WorkerDiedError: before it answered; whoever must execute at least once asks again.
            TimeoutError: no worker lives.
        """
        inputs: dict[str, Data] = {name: Text("string", self._client) for name in function.durable_clients}
        inputs[function.trigger["name"]] = trigger
        worker = await self._next()
        outcome = await worker.invoke(Invocation(f"invocation-{next(self._ids)}", function.name, inputs))
        if outcome.error is not None:
            _log.error("%s failed: %s", function.name, outcome.error)
        return outcome

    async def invoke_with(self, function: Function, text: str) -> Outcome:
        """Execute a function of the durable extension, whose triggers are strings."""
        return await self.invoke(function, Text("string", text))

    async def _next(self) -> Worker:
        await self._activity.until(lambda: any(worker.alive for worker in self._workers))
        alive = [worker for worker in self._workers if worker.alive]
        return alive[next(self._turn) % len(alive)]

    async def aclose(self) -> None:
        async with AsyncExitStack() as stack:
            for worker in self._workers:
                stack.push_async_callback(worker.aclose)
