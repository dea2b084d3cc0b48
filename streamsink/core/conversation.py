"""The fold: a thread's events, in order, become what a person sees (docs/protocol.md, "Conversation state").

``streamsink/static/client/conversation.js`` is its twin; both fold the vectors under ``tests/vectors``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from streamsink.core.errors import StreamSinkError
from streamsink.core.events import AGENT_DONE, AGENT_INTERRUPTED, AGENT_STARTED, AGENT_TOOL_RESULT, USER_MESSAGE
from streamsink.core.items import Items, number_of, text_of

__all__ = ["Conversation", "SnapshotError"]

_VERSION: Final = 1
_OPEN: Final = frozenset({"queued", "running", "interrupted"})

# Texts are kept in pieces; ``str`` joins them.
_encode = msgspec.json.Encoder(enc_hook=str).encode


class SnapshotError(StreamSinkError):
    """A snapshot of a version not known here, or parts of different snapshots. Nothing was changed."""

    code = "snapshot"


class Conversation:
    """A thread as its events tell it.

    Events are given in the order of the timeline, each once; ``core.sequencer`` sees to that. What an event
    holds is kept, not copied: it must not be changed afterwards.
    """

    __slots__ = ("_cursor", "_runs")

    def __init__(self) -> None:
        self._cursor = ""
        self._runs: dict[str, _Run] = {}

    @classmethod
    def from_parts(cls, parts: Iterable[bytes]) -> Conversation:
        """The conversation that :meth:`to_parts` wrote.

        Raises:
            SnapshotError: its version is not known here, or the parts are of different snapshots.
        """
        conversation = cls()
        for part in parts:
            conversation.load(msgspec.json.decode(part))
        return conversation

    @property
    def cursor(self) -> str:
        """The place of the last event; ``""`` before the first."""
        return self._cursor

    @property
    def state(self) -> dict[str, Any]:
        """The whole state as JSON values, for the caller to keep."""
        runs = [run.state for run in self._runs.values()]
        state: dict[str, Any] = msgspec.to_builtins(self._document(runs), enc_hook=str)
        return state

    def load(self, part: Mapping[str, Any]) -> None:
        """Add one part of a snapshot, before any event. A part given twice counts once.

        Raises:
            SnapshotError: its version is not known here, or it is of another snapshot than what was loaded.
        """
        if part.get("version") != _VERSION:
            raise SnapshotError(f"the snapshot's version should be {_VERSION}, not {part.get('version')!r}")
        if self._cursor not in ("", part["cursor"]):
            raise SnapshotError("all parts should be of one snapshot; ask for it again from its first part")
        self._cursor = part["cursor"]
        for run in part["runs"]:
            self._runs[run["correlationId"]] = _Run(run)

    def to_parts(self, max_bytes: int) -> tuple[bytes, ...]:
        """The state as one or more JSON documents, divided between runs.

        Args:
            max_bytes: the largest a part may be, unless it holds a single run that is larger.
        """
        empty = _encode(self._document([]))
        head, tail = empty[:-2], empty[-2:]
        runs = (_encode(run.state) for run in self._runs.values())
        slices = _slices(runs, max_bytes - len(empty))
        return tuple(head + b",".join(part) + tail for part in slices) or (empty,)

    def apply(self, target: str, data: Mapping[str, Any]) -> None:
        """Fold the event that is next in order."""
        self._cursor = f"{data['epoch']}:{data['seq']}"
        correlation_id = text_of(data, "correlationId")
        run = self._runs.get(correlation_id)
        if run is None:
            run = self._runs[correlation_id] = _Run(_first_sight(data))
        if target != USER_MESSAGE:
            run.fold(target, data, self._settle)
            return
        run.hear(data)
        approval = data.get("approval")
        if isinstance(approval, Mapping):
            self._answer(approval)

    def _answer(self, approval: Mapping[str, Any]) -> None:
        for run in self._runs.values():
            run.items.answer(text_of(approval, "approvalId"), approval.get("approved"))

    def _settle(self, result: Mapping[str, Any]) -> bool:
        """Rule 5: a call may have waited, in an earlier run, for a person's leave."""
        return any(run.items.settle(result) for run in self._runs.values())

    def _document(self, runs: list[dict[str, Any]]) -> dict[str, Any]:
        # ``runs`` comes last: to_parts cuts the encoded document open at its end.
        return {"version": _VERSION, "cursor": self._cursor, "runs": runs}


class _Run:
    """One run; ``state`` is what the conversation's state says of it, but for texts still in pieces."""

    __slots__ = ("_state", "items")

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._state = {**state, "messages": list(state["messages"])}
        self.items = Items(state["items"])

    @property
    def state(self) -> dict[str, Any]:
        # Assigned, not added: the member keeps its place.
        self._state["items"] = self.items.list
        return self._state

    def hear(self, data: Mapping[str, Any]) -> None:
        """Rule 1: a person's message, once."""
        message_id = text_of(data, "messageId")
        messages = self._state["messages"]
        if all(message["messageId"] != message_id for message in messages):
            text, at = text_of(data, "text"), number_of(data, "at")
            messages.append({"messageId": message_id, "text": text, "at": at or 0})

    def fold(self, target: str, data: Mapping[str, Any], settle: Callable[[Mapping[str, Any]], bool]) -> None:
        """Rules 2 to 8; ``settle`` gives a result to a call that waits for it in another run."""
        attempt = number_of(data, "attempt") or 0
        if self._state["status"] not in _OPEN or attempt < self._state["attempt"]:
            return
        if target == AGENT_STARTED or attempt > self._state["attempt"]:
            self._restart(attempt)
        if target == AGENT_DONE:
            self._finish(data)
        elif target == AGENT_INTERRUPTED:
            self._state["status"] = "interrupted"
        elif target != AGENT_STARTED and not (self._is_foreign(target, data) and settle(data)):
            self.items.fold(target, data)

    def _is_foreign(self, target: str, data: Mapping[str, Any]) -> bool:
        return target == AGENT_TOOL_RESULT and not self.items.knows_call(text_of(data, "callId"))

    def _restart(self, attempt: int) -> None:
        self._state.update(attempt=attempt, status="running")
        self.items = Items()

    def _finish(self, data: Mapping[str, Any]) -> None:
        outcome = {name: data.get(name) for name in ("error", "usage")}
        self._state.update(status=text_of(data, "status"), **outcome)
        self.items.finish(text_of(data, "text") if isinstance(data.get("text"), str) else None)


def _first_sight(data: Mapping[str, Any]) -> dict[str, Any]:
    names = {name: text_of(data, name) for name in ("correlationId", "agentName")}
    blank: dict[str, Any] = {"attempt": 0, "status": "queued", "messages": [], "items": []}
    return {**names, **blank, "error": None, "usage": None, "at": number_of(data, "at") or 0}


def _slices(runs: Iterable[bytes], max_bytes: int) -> Iterator[list[bytes]]:
    """Consecutive runs that, joined by commas, take at most ``max_bytes``."""
    part: list[bytes] = []
    size = 0
    for run in runs:
        if part and size + 1 + len(run) > max_bytes:
            yield part
            part, size = [], 0
        size += len(run) + bool(part)
        part.append(run)
    if part:
        yield part
