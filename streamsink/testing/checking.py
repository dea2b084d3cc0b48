"""What the contract's checks have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, contextmanager
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from streamsink.core.conversation import Conversation
from streamsink.core.events import AGENT_CUSTOM, USER_MESSAGE, Envelope, Record, Terminal
from streamsink.core.replay import read_replay
from streamsink.core.runs import Batch, RunRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from streamsink.core.cursor import Cursor
    from streamsink.core.events import Event
    from streamsink.core.runs import Appended
    from streamsink.core.sink import StreamSink
    from streamsink.testing.subject import MakeSubject, Subject

__all__ = [
    "Check",
    "NotApplicableError",
    "batch",
    "begun",
    "conversation",
    "events_of",
    "expect",
    "needs_history",
    "numbers",
    "place",
    "request",
    "texts_of",
]

Check: TypeAlias = Callable[["MakeSubject"], Awaitable[None]]

LEASE_S = 30.0


class NotApplicableError(Exception):
    """The check is about something that this subject does not have: it says nothing about it."""


def needs_history(check: Check) -> Check:
    """Of a subject without history the check says that it is not applicable."""

    @wraps(check)
    async def checked(make: MakeSubject) -> None:
        await check(partial(_with_history, make))

    return checked


@asynccontextmanager
async def _with_history(make: MakeSubject) -> AsyncIterator[Subject]:
    async with make() as subject:
        if not subject.keeps_history:
            raise NotApplicableError("this check is about a history that is kept")
        yield subject


@contextmanager
def expect(error: type[Exception]) -> Iterator[None]:
    """The block raises this error, and not another."""
    try:
        yield
    except error:
        return
    raise AssertionError(f"{error.__name__} was not raised")


def request(name: str = "r1", **more: Any) -> RunRequest:
    """A run request with a user message."""
    envelope = Envelope("thread", name, "agent")
    fields = {"messageId": f"{name}-user", "text": f"please {name}"}
    message = envelope.record(USER_MESSAGE, attempt=0, at_ms=1, fields=fields)
    return RunRequest(**{"correlation_id": name, "agent_name": "agent", "message": message, **more})


def records(name: str, attempt: int, values: Iterable[int]) -> tuple[Record, ...]:
    """Records that say these numbers."""
    envelope = Envelope("thread", name, "agent")
    return tuple(
        envelope.record(AGENT_CUSTOM, attempt=attempt, at_ms=1, fields={"name": "n", "data": value}) for value in values
    )


def batch(
    name: str,
    first_n: int,
    count: int = 1,
    *,
    attempt: int = 1,
    end: Terminal | None = None,
    seen: Cursor | None = None,
) -> Batch:
    """A batch whose records say ``first_n``, ``first_n + 1`` …; closed by an ``agentDone`` with ``end``."""
    said = records(name, attempt, range(first_n, first_n + count))
    if end is not None:
        said = (*said[:-1], Envelope("thread", name, "agent").done(end, attempt=attempt, at_ms=1))
    return Batch(correlation_id=name, attempt=attempt, first_n=first_n, records=said, terminal=end, seen=seen)


async def begun(sink: StreamSink, thread: str, name: str = "r1", **more: Any) -> int:
    """Accept a run and begin an attempt; gives its number."""
    await sink.accept_run(thread, request(name, **more))
    return (await sink.begin_attempt(thread, name, lease_s=LEASE_S)).number


async def events_of(sink: StreamSink, thread: str) -> list[Event]:
    """The whole timeline."""
    page = await sink.read(thread, None, limit=100_000, max_bytes=100_000_000)
    return list(page.events)


def place(appended: Appended) -> Cursor:
    """The cursor of a batch in a history that is kept."""
    cursor = appended.cursor
    assert cursor is not None, f"{appended.epoch!r} should be a number of ms"
    return cursor


def numbers(events: Iterable[Any]) -> list[int]:
    """What ``records`` said, out of events from a timeline or from a client."""
    decoded = [event.data if hasattr(event, "data") else msgspec.json.decode(event.json) for event in events]
    return [data["data"] for data in decoded if "data" in data]


async def conversation(sink: StreamSink, thread: str) -> dict[str, Any]:
    """The conversation as a client that joins now sees it."""
    state, after, more = Conversation(), "", True
    parts: list[bytes] = []
    while more:
        replay = await read_replay(sink, thread, after)
        after, more = replay.cursor, replay.more
        if replay.snapshot is not None:
            parts.append(replay.snapshot)
            state = Conversation.from_parts(tuple(parts))
        for event in replay.events:
            state.apply(event.target, msgspec.json.decode(event.json))
    return state.state


def texts_of(state: dict[str, Any]) -> list[str]:
    """The answers' texts, one per run."""
    return ["".join(item["text"] for item in run["items"] if item["kind"] == "text") for run in state["runs"]]
