"""What an orchestration is to the host: a history of events, and the actions that its function wants."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.functions_platform.data import Outcome

__all__ = [
    "ActionType",
    "EventType",
    "Instance",
    "finish",
    "leaves",
    "new_event",
    "state_of",
    "status_of",
    "trigger_input",
]

#: An orchestrator that fails raises, and puts what it wanted into the message.
_STATE_IN_ERROR: Final = "$OutOfProcData$:"


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class EventType(IntEnum):
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


class ActionType(IntEnum):
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
    created: str = field(default_factory=now)
    history: list[dict[str, Any]] = field(default_factory=list)
    inbox: list[dict[str, Any]] = field(default_factory=list)
    #: How many of the wanted actions have been taken up, and the id of the next one that has one.
    taken: int = 0
    next_id: int = 0
    scheduled: bool = False


def new_event(kind: EventType, **fields: Any) -> dict[str, Any]:
    return {"EventType": int(kind), "EventId": -1, "IsPlayed": False, "Timestamp": now(), **fields}


def trigger_input(instance: Instance, news: list[dict[str, Any]]) -> str:
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


def state_of(outcome: Outcome) -> dict[str, Any]:
    if outcome.error is None:
        state: dict[str, Any] = json.loads(outcome.text())
        return state
    _, marker, text = outcome.error.partition(_STATE_IN_ERROR)
    if not marker:
        return {"isDone": False, "actions": [], "error": outcome.error}
    state, _ = json.JSONDecoder().raw_decode(text)
    return state


def leaves(actions: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for action in actions:
        if isinstance(action, list):
            yield from leaves(action)
        elif action["actionType"] in (ActionType.WHEN_ANY, ActionType.WHEN_ALL):
            yield from leaves(action["compoundActions"])
        else:
            yield action


def finish(instance: Instance, state: dict[str, Any]) -> None:
    instance.custom_status = state.get("customStatus", instance.custom_status)
    if instance.status != "Running":  # terminated meanwhile
        return
    if "error" in state:
        instance.status, instance.output = "Failed", state["error"]
    elif state["isDone"]:
        instance.status, instance.output = "Completed", state.get("output")
    if instance.status != "Running" and instance.parent is not None:
        instance.parent(instance.output, instance.status == "Failed")


def status_of(instance: Instance) -> dict[str, Any]:
    return {
        "name": instance.name,
        "instanceId": instance.id,
        "runtimeStatus": instance.status,
        "input": instance.input,
        "customStatus": instance.custom_status,
        "output": instance.output,
        "createdTime": instance.created,
        "lastUpdatedTime": now(),
    }
