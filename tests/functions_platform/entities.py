"""Durable entities: their operations one batch at a time, at least once, their state saved with each batch."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from tests.functions_platform.workers import WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.functions_platform.activity import Activity
    from tests.functions_platform.data import Function, Outcome
    from tests.functions_platform.faults import Faults
    from tests.functions_platform.pool import WorkerPool

__all__ = ["Entities", "Entity", "Operation"]

#: `maxEntityOperationBatchSize` of the durable extension on a consumption plan.
_MAX_BATCH: Final = 50


@dataclass(frozen=True)
class Operation:
    """`input` is JSON in a string. `reply` is given the result, JSON too, and whether it is an error's text."""

    name: str
    input: str | None
    reply: Callable[[str | None, bool], None] | None = None

    def as_input(self) -> dict[str, Any]:
        return {"name": self.name, "input": self.input, "isSignal": self.reply is None}


@dataclass
class Entity:
    """`name` is in lower case: names are compared without case, keys with it. `state` is JSON in a string."""

    name: str
    key: str
    state: str | None = None
    exists: bool = False
    queue: deque[Operation] = field(default_factory=deque)
    scheduled: bool = False
    #: How many batches have been handed to a worker.
    started: int = 0


class Entities:
    def __init__(self, functions: Iterable[Function], pool: WorkerPool, faults: Faults, activity: Activity) -> None:
        self._functions = {
            (function.trigger.get("entityName") or function.name).lower(): function
            for function in functions
            if function.trigger["type"] == "entityTrigger"
        }
        self._pool = pool
        self._faults = faults
        self._activity = activity
        self._entities: dict[tuple[str, str], Entity] = {}

    def known(self, name: str) -> bool:
        """An entity function has this name."""
        return name.lower() in self._functions

    def find(self, name: str, key: str) -> Entity:
        """Return the entity, which need not exist yet."""
        return self._entities.setdefault((name.lower(), key), Entity(name.lower(), key))

    def all(self) -> list[Entity]:
        return [entity for entity in self._entities.values() if entity.exists]

    def submit(self, entity: Entity, operation: Operation) -> None:
        """Queue an operation; it is executed after all that were submitted before."""
        entity.queue.append(operation)
        if not entity.scheduled:
            entity.scheduled = True
            self._activity.spawn(self._drain(entity))

    async def _drain(self, entity: Entity) -> None:
        try:
            while entity.queue:
                await self._activity.when(lambda: not self._faults.holding(entity.key))
                await self._execute(entity)
                self._activity.changed()
        finally:
            entity.scheduled = False

    async def _execute(self, entity: Entity) -> None:
        """Execute a batch; it stays queued, to come again, unless its outcome arrives and is stored."""
        batch = list(islice(entity.queue, _MAX_BATCH))
        entity.started += 1
        self._activity.changed()
        try:
            outcome = await self._pool.invoke_with(self._functions[entity.name], _trigger_input(entity, batch))
        except WorkerDiedError:
            return
        await self._activity.when(lambda: not self._faults.holding_outcomes)
        if self._faults.loses_result():
            return
        for _ in batch:
            entity.queue.popleft()
        _commit(entity, batch, outcome)


def _trigger_input(entity: Entity, batch: list[Operation]) -> str:
    return json.dumps(
        {
            "self": {"name": entity.name, "key": entity.key},
            "exists": entity.exists,
            "state": entity.state,
            "batch": [operation.as_input() for operation in batch],
        }
    )


def _commit(entity: Entity, batch: list[Operation], outcome: Outcome) -> None:
    """Save the state and answer the callers; a function that failed changes nothing and fails them all."""
    if outcome.error is not None:
        _reply(batch, [{"result": json.dumps(outcome.error), "isError": True}] * len(batch))
        return
    output = json.loads(outcome.text())
    entity.exists = output["entityExists"]
    entity.state = output["entityState"] if entity.exists else None
    _reply(batch, output["results"])


def _reply(batch: list[Operation], results: list[dict[str, Any]]) -> None:
    for operation, result in zip(batch, results, strict=True):
        if operation.reply is not None:
            operation.reply(result["result"], result["isError"])
