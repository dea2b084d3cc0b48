"""Orchestrations by replay: a history of events in, the actions wanted so far out, until one is done.

As far as agents and workflows need it: activities, sub-orchestrations, entities, timers, external events.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tests.functions_platform.entities import Entities, Operation
from tests.functions_platform.workers import WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.functions_platform.activity import Activity
    from tests.functions_platform.data import Function, Outcome
    from tests.functions_platform.pool import WorkerPool

__all__ = ["Instance", "Orchestrations"]

#: An orchestrator that fails raises, and puts what it wanted into the message.
_STATE_IN_ERROR: Final = "$OutOfProcData$:"
_ENDED: Final = ("Completed", "Failed", "Terminated")


class _Event(IntEnum):
    """`HistoryEventType` of the durable task framework."""

    EXECUTION_STARTED = 0
    TASK_SCHEDULED = 4
    TASK_COMPLETED = 5
    TASK_FAILED = 6
    SUB_ORCHESTRATION_CREATED = 7
    SUB_ORCHESTRATION_COMPLETED = 8
    SUB_ORCHESTRATION_FAILED = 9
    TIMER_CREATED = 10
    TIMER_FIRED = 11
    ORCHESTRATOR_STARTED = 12
    ORCHESTRATOR_COMPLETED = 13
    EVENT_SENT = 14
    EVENT_RAISED = 15


class _Action(IntEnum):
    """`ActionType` of the out-of-process orchestration protocol."""

    ACTIVITY = 0
    SUB_ORCHESTRATION = 2
    TIMER = 5
    EXTERNAL_EVENT = 6
    CALL_ENTITY = 7
    SIGNAL_ENTITY = 9
    WHEN_ANY = 11
    WHEN_ALL = 12


@dataclass
class Instance:
    """`input` is what the client sent: JSON in a string. `parent` is told the output and whether it is an error."""

    id: str
    name: str
    input: str | None
    parent: Callable[[Any, bool], None] | None = None
    parent_id: str | None = None
    status: str = "Running"
    output: Any = None
    custom_status: Any = None
    created: str = field(default_factory=lambda: _now())
    history: list[dict[str, Any]] = field(default_factory=list)
    inbox: list[dict[str, Any]] = field(default_factory=list)
    #: How many of the wanted actions have been taken up, and the id of the next one that has one.
    taken: int = 0
    next_id: int = 0
    scheduled: bool = False


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
            instance, _event(_Event.EXECUTION_STARTED, Name=instance.name, Version="", Input=json.dumps(instance.input))
        )
        return instance

    def statuses(self) -> Iterator[dict[str, Any]]:
        return (_status(instance) for instance in self._instances.values())

    def status(self, instance_id: str) -> dict[str, Any]:
        """Return the status of an instance; an unknown one raises `KeyError`."""
        return _status(self._instances[instance_id])

    def exists(self, instance_id: str) -> bool:
        return instance_id in self._instances

    def raise_event(self, instance_id: str, name: str, content: Any) -> int:
        instance = self._instances.get(instance_id)
        if instance is None or instance.status in _ENDED:
            return 404 if instance is None else 410
        self._post(instance, _event(_Event.EVENT_RAISED, Name=name, Input=content))
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
        news = [_event(_Event.ORCHESTRATOR_STARTED), *instance.inbox]
        trigger = _trigger_input(instance, news)
        count = len(instance.inbox)
        try:
            outcome = await self._pool.invoke_with(self._orchestrators[instance.name.lower()], trigger)
        except WorkerDiedError:
            return
        del instance.inbox[:count]
        instance.history += [event | {"IsPlayed": True} for event in news]
        state = _state(outcome)
        for action in list(_leaves(state["actions"]))[instance.taken :]:
            instance.taken += 1
            self._take_up(instance, action)
        instance.history.append(_event(_Event.ORCHESTRATOR_COMPLETED, IsPlayed=True))
        _finish(instance, state)

    def _take_up(self, instance: Instance, action: dict[str, Any]) -> None:
        kind = action["actionType"]
        if kind == _Action.EXTERNAL_EVENT:  # it comes by itself, under its name
            return
        number, instance.next_id = instance.next_id, instance.next_id + 1
        match kind:
            case _Action.ACTIVITY:
                self._remember(instance, _Event.TASK_SCHEDULED, number, Name=action["functionName"])
                self._activity.spawn(self._run_activity(instance, number, action))
            case _Action.SUB_ORCHESTRATION:
                self._remember(instance, _Event.SUB_ORCHESTRATION_CREATED, number, Name=action["functionName"])
                self._start_child(instance, number, action)
            case _Action.TIMER:
                self._remember(instance, _Event.TIMER_CREATED, number, FireAt=action["fireAt"])
                self._activity.spawn(self._fire(instance, number, action["fireAt"]), timer=True)
            case _Action.CALL_ENTITY | _Action.SIGNAL_ENTITY:
                self._send(instance, number, action)
            case _:
                raise NotImplementedError(f"the emulation knows no action {kind}: {action}")

    def _remember(self, instance: Instance, kind: _Event, number: int, **fields: Any) -> None:
        instance.history.append(_event(kind, EventId=number, IsPlayed=True, **fields))

    async def _run_activity(self, instance: Instance, number: int, action: dict[str, Any]) -> None:
        function = self._activities[action["functionName"].lower()]
        while True:
            try:
                outcome = await self._pool.invoke_with(function, action["input"])
                break
            except WorkerDiedError:
                continue
        if outcome.error is None:
            event = _event(_Event.TASK_COMPLETED, TaskScheduledId=number, Result=outcome.text())
        else:
            event = _event(_Event.TASK_FAILED, TaskScheduledId=number, Reason=outcome.error, Details="")
        self._post(instance, event)

    def _start_child(self, instance: Instance, number: int, action: dict[str, Any]) -> None:
        def ended(output: Any, is_error: bool) -> None:
            kind = _Event.SUB_ORCHESTRATION_FAILED if is_error else _Event.SUB_ORCHESTRATION_COMPLETED
            fields = {"Reason": output, "Details": ""} if is_error else {"Result": json.dumps(output)}
            self._post(instance, _event(kind, TaskScheduledId=number, **fields))

        child_id = action.get("instanceId") or uuid.uuid4().hex
        self._start(Instance(child_id, action["functionName"], action.get("input"), ended, instance.id))

    async def _fire(self, instance: Instance, number: int, fire_at: str) -> None:
        await asyncio.sleep(max(0.0, (datetime.fromisoformat(fire_at) - datetime.now(UTC)).total_seconds()))
        self._post(instance, _event(_Event.TIMER_FIRED, TimerId=number, FireAt=fire_at))

    def _send(self, instance: Instance, number: int, action: dict[str, Any]) -> None:
        """Give an entity an operation. The answer to a call is an event named by the call's id."""
        _, name, key = action["instanceId"].split("@", 2)
        request_id = str(uuid.uuid4())
        sent = json.dumps({"id": request_id, "op": action["operation"], "input": action["input"]})
        self._remember(instance, _Event.EVENT_SENT, number, Name="op", InstanceId=action["instanceId"], Input=sent)
        calls = action["actionType"] == _Action.CALL_ENTITY
        reply = partial(self._answered, instance, request_id) if calls else None
        operation = Operation(action["operation"], json.dumps(action["input"]), reply)
        self._entities.submit(self._entities.find(name, key), operation)

    def _answered(self, instance: Instance, request_id: str, result: str | None, is_error: bool) -> None:
        message = {"result": result} | ({"exceptionType": "Exception"} if is_error else {})
        self._post(instance, _event(_Event.EVENT_RAISED, Name=request_id, Input=json.dumps(message)))


def _by_name(functions: Iterable[Function], trigger: str, name: str) -> dict[str, Function]:
    return {
        (function.trigger.get(name) or function.name).lower(): function
        for function in functions
        if function.trigger["type"] == trigger
    }


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _event(kind: _Event, **fields: Any) -> dict[str, Any]:
    return {"EventType": int(kind), "EventId": -1, "IsPlayed": False, "Timestamp": _now(), **fields}


def _trigger_input(instance: Instance, news: list[dict[str, Any]]) -> str:
    return json.dumps(
        {
            "history": [*instance.history, *news],
            "input": instance.input,
            "instanceId": instance.id,
            "isReplaying": False,
            "parentInstanceId": instance.parent_id,
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 4,
        }
    )


def _state(outcome: Outcome) -> dict[str, Any]:
    if outcome.error is None:
        state: dict[str, Any] = json.loads(outcome.text())
        return state
    _, marker, text = outcome.error.partition(_STATE_IN_ERROR)
    if not marker:
        return {"isDone": False, "actions": [], "error": outcome.error}
    state, _ = json.JSONDecoder().raw_decode(text)
    return state


def _leaves(actions: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for action in actions:
        if isinstance(action, list):
            yield from _leaves(action)
        elif action["actionType"] in (_Action.WHEN_ANY, _Action.WHEN_ALL):
            yield from _leaves(action["compoundActions"])
        else:
            yield action


def _finish(instance: Instance, state: dict[str, Any]) -> None:
    instance.custom_status = state.get("customStatus", instance.custom_status)
    if instance.status != "Running":  # terminated meanwhile
        return
    if "error" in state:
        instance.status, instance.output = "Failed", state["error"]
    elif state["isDone"]:
        instance.status, instance.output = "Completed", state.get("output")
    if instance.status != "Running" and instance.parent is not None:
        instance.parent(instance.output, instance.status == "Failed")


def _status(instance: Instance) -> dict[str, Any]:
    return {
        "name": instance.name,
        "instanceId": instance.id,
        "runtimeStatus": instance.status,
        "input": instance.input,
        "customStatus": instance.custom_status,
        "output": instance.output,
        "createdTime": instance.created,
        "lastUpdatedTime": _now(),
    }
