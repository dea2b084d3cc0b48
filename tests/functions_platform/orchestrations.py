"""Orchestrations by replay: a history of events in, the actions wanted so far out, until one is done.

As far as agents and workflows need it: activities, sub-orchestrations, entities, timers, external events.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tests.functions_platform.entities import Entities, Operation
from tests.functions_platform.histories import (
    ActionType,
    EventType,
    Instance,
    finish,
    leaves,
    new_event,
    state_of,
    status_of,
    trigger_input,
)
from tests.functions_platform.workers import WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.functions_platform.activity import Activity
    from tests.functions_platform.data import Function
    from tests.functions_platform.pool import WorkerPool

__all__ = ["Instance", "Orchestrations"]

_ENDED: Final = ("Completed", "Failed", "Terminated")


class Orchestrations:
    def __init__(self, functions: Iterable[Function], pool: WorkerPool, entities: Entities, activity: Activity) -> None:
        functions = list(functions)
        self._orchestrators = _by_name(functions, "orchestrationTrigger", "orchestration")
        self._activities = _by_name(functions, "activityTrigger", "activity")
        self._pool = pool
        self._entities = entities
        self._activity = activity
        self._instances: dict[str, Instance] = {}

    def known(self, name: str) -> bool:
        return name.lower() in self._orchestrators

    def start(self, name: str, content: str | None, instance_id: str | None = None) -> str:
        """Start an orchestration with JSON in a string; an instance of the same id is replaced."""
        return self._start(Instance(instance_id or uuid.uuid4().hex, name, content)).id

    def _start(self, instance: Instance) -> Instance:
        self._instances[instance.id] = instance
        self._post(
            instance,
            new_event(EventType.EXECUTION_STARTED, Name=instance.name, Version="", Input=json.dumps(instance.input)),
        )
        return instance

    def statuses(self) -> Iterator[dict[str, Any]]:
        return (status_of(instance) for instance in self._instances.values())

    def status(self, instance_id: str) -> dict[str, Any]:
        """Return the status of an instance; an unknown one raises `KeyError`."""
        return status_of(self._instances[instance_id])

    def exists(self, instance_id: str) -> bool:
        return instance_id in self._instances

    def raise_event(self, instance_id: str, name: str, content: Any) -> int:
        instance = self._instances.get(instance_id)
        if instance is None or instance.status in _ENDED:
            return 404 if instance is None else 410
        self._post(instance, new_event(EventType.EVENT_RAISED, Name=name, Input=content))
        return 202

    def terminate(self, instance_id: str, reason: str) -> int:
        instance = self._instances.get(instance_id)
        if instance is None or instance.status in _ENDED:
            return 404 if instance is None else 410
        instance.status, instance.output = "Terminated", reason
        return 202

    def _post(self, instance: Instance, event: dict[str, Any]) -> None:
        instance.inbox.append(event)
        if not instance.scheduled:
            instance.scheduled = True
            self._activity.spawn(self._drain(instance))

    async def _drain(self, instance: Instance) -> None:
        try:
            while instance.inbox and instance.status == "Running":
                await self._step(instance)
                self._activity.changed()
        finally:
            instance.scheduled = False

    async def _step(self, instance: Instance) -> None:
        """Replay the history with the events that have come, and take up what the orchestrator wants now."""
        news = [new_event(EventType.ORCHESTRATOR_STARTED), *instance.inbox]
        trigger = trigger_input(instance, news)
        count = len(instance.inbox)
        try:
            outcome = await self._pool.invoke_with(self._orchestrators[instance.name.lower()], trigger)
        except WorkerDiedError:
            return
        del instance.inbox[:count]
        instance.history += [event | {"IsPlayed": True} for event in news]
        state = state_of(outcome)
        for action in list(leaves(state["actions"]))[instance.taken :]:
            instance.taken += 1
            self._take_up(instance, action)
        instance.history.append(new_event(EventType.ORCHESTRATOR_COMPLETED, IsPlayed=True))
        finish(instance, state)

    def _take_up(self, instance: Instance, action: dict[str, Any]) -> None:
        kind = action["actionType"]
        if kind == ActionType.EXTERNAL_EVENT:  # it comes by itself, under its name
            return
        number, instance.next_id = instance.next_id, instance.next_id + 1
        match kind:
            case ActionType.ACTIVITY:
                self._remember(instance, EventType.TASK_SCHEDULED, number, Name=action["functionName"])
                self._activity.spawn(self._run_activity(instance, number, action))
            case ActionType.SUB_ORCHESTRATION:
                self._remember(instance, EventType.SUB_ORCHESTRATION_CREATED, number, Name=action["functionName"])
                self._start_child(instance, number, action)
            case ActionType.TIMER:
                self._remember(instance, EventType.TIMER_CREATED, number, FireAt=action["fireAt"])
                self._activity.spawn(self._fire(instance, number, action["fireAt"]), timer=True)
            case ActionType.CALL_ENTITY | ActionType.SIGNAL_ENTITY:
                self._send(instance, number, action)
            case _:
                raise NotImplementedError(f"the emulation knows no action {kind}: {action}")

    def _remember(self, instance: Instance, kind: EventType, number: int, **fields: Any) -> None:
        instance.history.append(new_event(kind, EventId=number, IsPlayed=True, **fields))

    async def _run_activity(self, instance: Instance, number: int, action: dict[str, Any]) -> None:
        function = self._activities[action["functionName"].lower()]
        while True:
            try:
                outcome = await self._pool.invoke_with(function, action["input"])
                break
            except WorkerDiedError:
                continue
        if outcome.error is None:
            event = new_event(EventType.TASK_COMPLETED, TaskScheduledId=number, Result=outcome.text())
        else:
            event = new_event(EventType.TASK_FAILED, TaskScheduledId=number, Reason=outcome.error, Details="")
        self._post(instance, event)

    def _start_child(self, instance: Instance, number: int, action: dict[str, Any]) -> None:
        def ended(output: Any, is_error: bool) -> None:
            kind = EventType.SUB_ORCHESTRATION_FAILED if is_error else EventType.SUB_ORCHESTRATION_COMPLETED
            fields = {"Reason": output, "Details": ""} if is_error else {"Result": json.dumps(output)}
            self._post(instance, new_event(kind, TaskScheduledId=number, **fields))

        child_id = action.get("instanceId") or uuid.uuid4().hex
        self._start(Instance(child_id, action["functionName"], action.get("input"), ended, instance.id))

    async def _fire(self, instance: Instance, number: int, fire_at: str) -> None:
        await asyncio.sleep(max(0.0, (datetime.fromisoformat(fire_at) - datetime.now(UTC)).total_seconds()))
        self._post(instance, new_event(EventType.TIMER_FIRED, TimerId=number, FireAt=fire_at))

    def _send(self, instance: Instance, number: int, action: dict[str, Any]) -> None:
        """Give an entity an operation. The answer to a call is an event named by the call's id."""
        _, name, key = action["instanceId"].split("@", 2)
        request_id = str(uuid.uuid4())
        sent = json.dumps({"id": request_id, "op": action["operation"], "input": action["input"]})
        self._remember(instance, EventType.EVENT_SENT, number, Name="op", InstanceId=action["instanceId"], Input=sent)
        calls = action["actionType"] == ActionType.CALL_ENTITY
        reply = partial(self._answered, instance, request_id) if calls else None
        operation = Operation(action["operation"], json.dumps(action["input"]), reply)
        self._entities.submit(self._entities.find(name, key), operation)

    def _answered(self, instance: Instance, request_id: str, result: str | None, is_error: bool) -> None:
        message = {"result": result} | ({"exceptionType": "Exception"} if is_error else {})
        self._post(instance, new_event(EventType.EVENT_RAISED, Name=request_id, Input=json.dumps(message)))


def _by_name(functions: Iterable[Function], trigger: str, name: str) -> dict[str, Function]:
    return {
        (function.trigger.get(name) or function.name).lower(): function
        for function in functions
        if function.trigger["type"] == trigger
    }
