"""What a reader has missed, and the snapshots that keep it short."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from streamsink.core.conversation import Conversation
from streamsink.core.cursor import Cursor
from streamsink.core.errors import InvalidRequestError
from streamsink.core.timeline import Page, Snapshot, Timeline

if TYPE_CHECKING:
    from streamsink.core.events import Event

__all__ = ["Replay", "read_replay", "write_snapshot"]

PAGE_EVENTS: Final = 1_000
PAGE_BYTES: Final = 262_144


@dataclass(frozen=True, slots=True)
class Replay:
    """The answer to a reader (docs/protocol.md, Replay)."""

    cursor: str
    reset: bool = False
    snapshot: bytes | None = None
    events: tuple[Event, ...] = field(default=())
    more: bool = False

    def to_json(self) -> msgspec.Raw:
        """The answer as JSON, spliced from the events' own bytes."""
        events = b",".join(
            b'{"target":%b,"data":%b}' % (msgspec.json.encode(event.target), event.json) for event in self.events
        )
        return msgspec.Raw(
            b'{"cursor":%b,"reset":%b,"snapshot":%b,"events":[%b],"more":%b}'
            % (
                msgspec.json.encode(self.cursor),
                _boolean(self.reset),
                self.snapshot or b"null",
                events,
                _boolean(self.more),
            )
        )


def _boolean(value: bool) -> bytes:
    return b"true" if value else b"false"


async def read_replay(timeline: Timeline, thread: str, after: str) -> Replay:
    """What a reader who has seen everything up to ``after`` has missed.

    Raises:
        InvalidRequestError: ``after`` is not a cursor.
        StreamSinkError: as ``Timeline.read``.
    """
    place, tilde, part = after.partition("~")
    if tilde:
        return await _next_part(timeline, thread, place, part)
    cursor = Cursor.parse(after)
    if cursor is None:
        return await _from_start(timeline, thread)
    page = await _read(timeline, thread, cursor)
    if page.gone:
        return await _from_start(timeline, thread)
    return _following(page, after)


async def _next_part(timeline: Timeline, thread: str, place: str, part: str) -> Replay:
    if not part.isdecimal() or len(part) > 6:
        raise InvalidRequestError('a cursor should be "<epoch>:<seq>" as it was given out, or empty')
    snapshot = await timeline.get_snapshot(thread)
    if snapshot is None or str(snapshot.cursor) != place or int(part) >= len(snapshot.parts):
        return await _from_start(timeline, thread)
    return await _part(timeline, thread, snapshot, int(part))


async def _from_start(timeline: Timeline, thread: str) -> Replay:
    snapshot = await timeline.get_snapshot(thread)
    if snapshot is not None:
        return await _part(timeline, thread, snapshot, 0)
    return _following(await _read(timeline, thread, None), "", reset=True)


async def _part(timeline: Timeline, thread: str, snapshot: Snapshot, part: int) -> Replay:
    """One part of a snapshot; the last one brings the events after it."""
    body, reset = snapshot.parts[part], part == 0
    if part + 1 < len(snapshot.parts):
        return Replay(f"{snapshot.cursor}~{part + 1}", reset, body, more=True)
    page = await _read(timeline, thread, snapshot.cursor)
    if page.gone:
        newest = await timeline.get_snapshot(thread)
        if newest is not None and newest.cursor != snapshot.cursor:  # written, and trimmed to, meanwhile
            return await _part(timeline, thread, newest, 0)
        return _following(page, "", reset=True)  # the store lost what the snapshot was made of
    return _following(page, str(snapshot.cursor), reset=reset, snapshot=body)


def _following(page: Page, after: str, *, reset: bool = False, snapshot: bytes | None = None) -> Replay:
    cursor = page.events[-1].cursor if page.events else after
    return Replay(cursor, reset, snapshot, page.events, page.more)


async def _read(timeline: Timeline, thread: str, after: Cursor | None) -> Page:
    return await timeline.read(thread, after, limit=PAGE_EVENTS, max_bytes=PAGE_BYTES)


async def write_snapshot(timeline: Timeline, thread: str) -> bool:
    """Fold what has happened since the last snapshot into a new one; False when there was nothing to do, or
    another producer has written one meanwhile."""
    old = await timeline.get_snapshot(thread)
    conversation = Conversation.from_parts(old.parts) if old is not None else Conversation()
    cursor = old.cursor if old is not None else None
    page = await _read(timeline, thread, cursor)
    while page.events:
        if page.gone:  # the store has lost what was folded so far
            conversation = Conversation()
        for event in page.events:
            conversation.apply(event.target, msgspec.json.decode(event.json))
        cursor = Cursor.parse(page.events[-1].cursor)
        page = await _read(timeline, thread, cursor)
    if cursor is None or (old is not None and cursor == old.cursor):
        return False
    snapshot = Snapshot(cursor, conversation.to_parts(PAGE_BYTES))
    return await timeline.put_snapshot(thread, snapshot, expected=old.cursor if old is not None else None)
