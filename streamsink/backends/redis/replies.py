"""What the scripts are told of a terminal, and what they answer, as the timeline's values and errors. Sans-IO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from streamsink.core.cursor import Cursor
from streamsink.core.errors import (
    BusyError,
    ConflictError,
    EpochChangedError,
    InvalidRequestError,
    KeyReusedError,
    NotFoundError,
    RunClosedError,
    StaleAttemptError,
    StreamSinkError,
    ThreadDeletedError,
    UnavailableError,
)
from streamsink.core.events import Event, Status, Terminal
from streamsink.core.runs import Accepted, Appended, Attempt, Cancelled, Interrupted, Run, RunState
from streamsink.core.timeline import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "accepted",
    "appended",
    "attempt",
    "cancelled",
    "events",
    "interrupted",
    "ok",
    "page",
    "run",
    "terminal_args",
]


def ok(reply: Any) -> list[Any]:
    """What a script answered behind its ``OK``.

    Raises:
        StreamSinkError: what it says is wrong.
    """
    word: bytes = reply[0]
    rest: list[Any] = reply[1:]
    if word != b"OK":
        raise _error(word.decode("ascii"), rest)
    return rest


def _error(word: str, rest: list[Any]) -> StreamSinkError:
    if word == "EPOCH":
        return EpochChangedError(rest[0])
    if word == "ORDER":
        return InvalidRequestError(f"the batch should begin with record {rest[0]} of its attempt")
    if word == "BUSY":
        return BusyError(f"{rest[0]} runs of this agent are open on this thread; wait for one to end")
    kind, text = _ERRORS.get(word, (UnavailableError, "the script in Redis is another version than this process"))
    return kind(text)


_ERRORS: dict[str, tuple[type[StreamSinkError], str]] = {
    "DELETED": (ThreadDeletedError, "this thread has been deleted"),
    "NOTFOUND": (NotFoundError, "there is no such run in this thread"),
    "CLOSED": (RunClosedError, "the run has its terminal"),
    "STALE": (StaleAttemptError, "a newer attempt of this run has begun, or this one has been interrupted"),
    "TURN": (BusyError, "an earlier run of this agent is open on this thread"),
    "KEY": (KeyReusedError, "this Idempotency-Key was used for another request; use a fresh one"),
    "CONFLICT": (ConflictError, "this thread id belongs to somebody else"),
}


def events(flat: Sequence[bytes]) -> tuple[Event, ...]:
    """Events that are told as epoch, seq, target, JSON, epoch, …"""
    fields = iter(flat)
    return tuple(
        Event(target.decode(), json, epoch.decode(), int(seq))
        for epoch, seq, target, json in zip(fields, fields, fields, fields, strict=True)
    )


def terminal_args(terminal: Terminal | None) -> tuple[Any, ...]:
    """Status, code, whether there is a response, response; the status of what is no terminal is empty."""
    if terminal is None:
        return ("", "", 0, "")
    return (terminal.status, terminal.code or "", int(terminal.response is not None), terminal.response or b"")


def _terminal(told: Sequence[Any]) -> Terminal | None:
    status, code, has_response, response = told
    if not status:
        return None
    return Terminal(cast("Status", status.decode()), code.decode() or None, response if has_response else None)


def run(view: Sequence[Any]) -> Run:
    """A run as it is told."""
    correlation_id, agent, state, number, cancel, told = view
    return Run(
        correlation_id=correlation_id.decode(),
        agent_name=agent.decode(),
        state=cast("RunState", state.decode()),
        attempt=number,
        cancel=bool(cancel),
        terminal=_terminal(told),
    )


def accepted(reply: Sequence[Any]) -> Accepted:
    """See ``accept.lua``."""
    fresh, view, appended_events = reply
    return Accepted(run(view), bool(fresh), events(appended_events))


def attempt(reply: Sequence[Any]) -> Attempt:
    """See ``begin.lua``."""
    number, cancel, told = reply
    return Attempt(number=number, cancel=bool(cancel), terminal=_terminal(told))


def appended(reply: Sequence[Any], count: int) -> Appended:
    """See ``append.lua``."""
    epoch, first_seq, cancel, repeated = reply
    return Appended(epoch=str(epoch), first_seq=first_seq, count=count, cancel=bool(cancel), repeated=bool(repeated))


def cancelled(reply: Sequence[Any]) -> Cancelled:
    """See ``cancel.lua``."""
    reached, appended_events = reply
    return Cancelled(tuple(each.decode() for each in reached), events(appended_events))


def interrupted(reply: Sequence[Any]) -> Interrupted:
    """See ``interrupt.lua``."""
    return Interrupted(events(reply[0]))


def page(reply: Sequence[Any]) -> Page:
    """See ``read.lua``."""
    epoch, seq, gone, more, found = reply
    head = Cursor(epoch, seq) if epoch >= 0 else None
    return Page(events(found), head, bool(gone), bool(more))
