"""Records, events and their envelope (docs/protocol.md).

A producer encodes a record once; the timeline splices its place in, once; everybody after that shares and forwards
the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, dataclass_transform

import msgspec

__all__ = [
    "AGENT_APPROVAL",
    "AGENT_CONTENT",
    "AGENT_CUSTOM",
    "AGENT_DONE",
    "AGENT_INTERRUPTED",
    "AGENT_MESSAGE",
    "AGENT_REASONING",
    "AGENT_STARTED",
    "AGENT_TOOL_CALL",
    "AGENT_TOOL_RESULT",
    "USER_MESSAGE",
    "Envelope",
    "Event",
    "Record",
    "Status",
    "Terminal",
]

USER_MESSAGE: Final = "userMessage"
AGENT_STARTED: Final = "agentStarted"
AGENT_MESSAGE: Final = "agentMessage"
AGENT_REASONING: Final = "agentReasoning"
AGENT_TOOL_CALL: Final = "agentToolCall"
AGENT_TOOL_RESULT: Final = "agentToolResult"
AGENT_APPROVAL: Final = "agentApproval"
AGENT_CONTENT: Final = "agentContent"
AGENT_CUSTOM: Final = "agentCustom"
AGENT_INTERRUPTED: Final = "agentInterrupted"
AGENT_DONE: Final = "agentDone"

Status: TypeAlias = Literal["completed", "failed", "cancelled"]

_encode = msgspec.json.Encoder().encode

if TYPE_CHECKING:

    @dataclass_transform(frozen_default=True)
    class _Struct:
        """What type checkers may know of the base class: some report that they cannot see into msgspec."""

        def __init_subclass__(cls, *, frozen: bool, array_like: bool, gc: bool) -> None: ...

else:
    _Struct = msgspec.Struct


@dataclass(frozen=True, slots=True)
class Record:
    """One event before it has its place.

    Args:
        target: the SignalR target, an ASCII identifier.
        body: a JSON object with at least one member, in UTF-8, without ``seq`` and ``epoch``.
    """

    target: str
    body: bytes

    def at(self, epoch: str, seq: int) -> Event:
        """The event that this record is at that place: its body with ``seq`` and ``epoch`` spliced in at the end."""
        json = b'%b,"seq":%d,"epoch":"%b"}' % (self.body[:-1], seq, epoch.encode())
        return Event(self.target, json, epoch, seq)


class Event(_Struct, frozen=True, array_like=True, gc=False):
    """One appended event. C makes it, in a quarter of a named tuple's time, and reads it where it is an array.

    Args:
        target: the SignalR target.
        json: the JSON object as clients see it: the record's, then its place. Everybody forwards these bytes.
        epoch: decimal milliseconds, or ``<correlation id>.<attempt>`` where no history is kept.
        seq: from 1, without holes inside the epoch.
    """

    target: str
    json: bytes
    epoch: str
    seq: int

    @property
    def cursor(self) -> str:
        """The place of this event, as clients send it back."""
        return f"{self.epoch}:{self.seq}"


@dataclass(frozen=True, slots=True)
class Terminal:
    """How a run ended.

    Args:
        status: ``completed``, ``failed`` or ``cancelled``.
        code: the error code when failed (docs/protocol.md), otherwise None.
        response: the whole response as its producer serialised it, returned to whoever runs it again.
    """

    status: Status
    code: str | None = None
    response: bytes | None = None


class Envelope:
    """Encodes the records of one run; the members that all of them share are encoded once.

    Args:
        thread: the conversation's id.
        correlation_id: the run's id.
        agent_name: who speaks.

    Attributes:
        prefix: how each body begins: an object without its closing brace.
    """

    __slots__ = ("prefix",)

    def __init__(self, thread: str, correlation_id: str, agent_name: str) -> None:
        shared = {"conversationId": thread, "correlationId": correlation_id, "agentName": agent_name}
        self.prefix: bytes = _encode(shared)[:-1]

    def record(self, target: str, *, attempt: int, at_ms: int, fields: dict[str, Any] | None = None) -> Record:
        """One record.

        Args:
            target: the SignalR target.
            attempt: the attempt that says it; 0 for what belongs to the run before any execution.
            at_ms: the producer's clock, ms since 1970.
            fields: the target's own members (docs/protocol.md).

        Raises:
            TypeError: a field cannot be written as JSON.
        """
        rest = b"}" if not fields else b",%b" % _encode(fields)[1:]
        return Record(target, b'%b,"attempt":%d,"at":%d%b' % (self.prefix, attempt, at_ms, rest))

    def done(self, terminal: Terminal, *, attempt: int, at_ms: int, message: str = "") -> Record:
        """The ``agentDone`` record of a terminal that no producer wrote (a sweep, a cancel in the queue)."""
        fields: dict[str, Any] = {"status": terminal.status}
        if terminal.code is not None:
            fields["error"] = {"code": terminal.code, "message": message}
        return self.record(AGENT_DONE, attempt=attempt, at_ms=at_ms, fields=fields)
