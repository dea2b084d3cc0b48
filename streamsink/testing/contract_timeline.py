"""The contract: what a timeline keeps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streamsink.core.cursor import Cursor
from streamsink.core.errors import (
    ConflictError,
    EpochChangedError,
    InvalidRequestError,
    NotFoundError,
    RunClosedError,
    StaleAttemptError,
    StreamSinkError,
    ThreadDeletedError,
)
from streamsink.core.events import Terminal
from streamsink.core.timeline import Snapshot
from streamsink.testing.checking import LEASE_S, batch, begun, events_of, expect, needs_history, numbers, place, request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.core.events import Event
    from streamsink.core.runs import Appended
    from streamsink.testing.subject import MakeSubject

__all__ = ["CHECKS"]

DONE = Terminal("completed", response=b'{"text":"x","response":{}}')


def _where(appended: Appended) -> tuple[str, int, int]:
    return appended.epoch, appended.first_seq, appended.count


def _assert_no_holes(events: Sequence[Event]) -> None:
    """In each epoch places count from 1."""
    for epoch in {event.epoch for event in events}:
        places = [event.seq for event in events if event.epoch == epoch]
        assert places == list(range(1, len(places) + 1))


async def order_is_kept_per_group(make: MakeSubject) -> None:
    """Batches stand in the order they were sent, without holes."""
    async with make() as subject:
        await begun(subject.sink, "t")
        for n in range(1, 20, 3):
            await subject.sink.send("t", batch("r1", n, 3))

        events = await subject.events("t")

        assert numbers(events) == list(range(1, 22))
        _assert_no_holes(events)
        assert len({event.epoch for event in events}) == 1 or not subject.keeps_history


async def lost_reply_then_retry_is_one_append(make: MakeSubject) -> None:
    """A batch that is sent again, its reply lost, stands where it stood."""
    async with make() as subject:
        await begun(subject.sink, "t")
        first = await subject.sink.send("t", batch("r1", 1, 2))
        again = await subject.sink.send("t", batch("r1", 1, 2))

        assert again.repeated
        assert _where(again) == _where(first)
        assert numbers(await subject.events("t")) == [1, 2]


async def retried_terminal_is_one_terminal(make: MakeSubject) -> None:
    """The same for the batch that closes the run."""
    async with make() as subject:
        await begun(subject.sink, "t")
        first = await subject.sink.send("t", batch("r1", 1, end=DONE))
        again = await subject.sink.send("t", batch("r1", 1, end=DONE))

        assert (_where(again), again.repeated) == (_where(first), True)
        assert [event.target for event in await subject.events("t")].count("agentDone") == 1


async def two_producers_share_a_thread(make: MakeSubject) -> None:
    """Each keeps its order; together they leave no hole."""
    async with make() as subject:
        await begun(subject.sink, "t", "r1")
        await begun(subject.sink, "t", "r2")

        async def produce(name: str) -> None:
            for n in range(1, 26):
                await subject.sink.send("t", batch(name, n))

        await asyncio.gather(produce("r1"), produce("r2"))

        events = await subject.events("t")
        for name in ("r1", "r2"):
            assert numbers(event for event in events if f'"{name}"'.encode() in event.json) == list(range(1, 26))
        _assert_no_holes(events)


async def batches_of_an_older_attempt_are_refused(make: MakeSubject) -> None:
    """A producer that was replaced adds nothing."""
    async with make() as subject:
        await begun(subject.sink, "t")
        await subject.sink.send("t", batch("r1", 1))
        second = await subject.sink.begin_attempt("t", "r1", lease_s=LEASE_S)
        with expect(StaleAttemptError):
            await subject.sink.send("t", batch("r1", 2))
        with expect(StaleAttemptError):
            await subject.sink.renew("t", "r1", 1, lease_s=LEASE_S)
        await subject.sink.send("t", batch("r1", 1, attempt=second.number))

        assert second.number == 2
        assert numbers(await subject.events("t")) == [1, 1]


async def records_must_follow_each_other(make: MakeSubject) -> None:
    """A batch that leaves a gap in its attempt is refused."""
    async with make() as subject:
        await begun(subject.sink, "t")
        with expect(InvalidRequestError):
            await subject.sink.send("t", batch("r1", 2))
        with expect(NotFoundError):
            await subject.sink.send("t", batch("unknown", 1))

        assert numbers(await subject.events("t")) == []


async def of_two_terminals_one_is_written(make: MakeSubject) -> None:
    """The terminal is a compare-and-set."""
    async with make() as subject:
        await begun(subject.sink, "t")

        async def end(first_n: int) -> bool:
            try:
                await subject.sink.send("t", batch("r1", first_n, 1, end=DONE))
            except (RunClosedError, InvalidRequestError):
                return False
            return True

        await subject.sink.send("t", batch("r1", 1))
        won = await asyncio.gather(end(2), end(2))
        with expect(RunClosedError):
            await subject.sink.send("t", batch("r1", 3))
        with expect(RunClosedError):
            await subject.sink.renew("t", "r1", 1, lease_s=LEASE_S)

        assert any(won)
        assert [event.target for event in await subject.events("t")].count("agentDone") == 1


@needs_history
async def pages_are_bounded_and_complete(make: MakeSubject) -> None:
    """Reading in pages gives what reading at once gives."""
    async with make() as subject:
        await begun(subject.sink, "t")
        await subject.sink.send("t", batch("r1", 1, 20))
        everything = await subject.events("t")

        for limit, max_bytes in ((1, 10**6), (7, 10**6), (1_000, 1), (1_000, 500)):
            read: list[Event] = []
            after: Cursor | None = None
            while True:
                page = await subject.sink.read("t", after, limit=limit, max_bytes=max_bytes)
                read.extend(page.events)
                if not page.more:
                    break
                assert 1 <= len(page.events) <= limit
                after = Cursor.parse(page.events[-1].cursor)
            assert read == everything


@needs_history
async def places_that_never_were_are_gone(make: MakeSubject) -> None:
    """A cursor beyond the head, or of another epoch, is answered from the oldest event."""
    async with make() as subject:
        await begun(subject.sink, "t")
        cursor = place(await subject.sink.send("t", batch("r1", 1)))

        beyond = await subject.sink.read("t", Cursor(cursor.epoch, cursor.seq + 1), limit=10, max_bytes=10**6)
        other = await subject.sink.read("t", Cursor(cursor.epoch - 1, 1), limit=10, max_bytes=10**6)
        empty = await subject.sink.read("nothing", Cursor(1, 1), limit=10, max_bytes=10**6)

        assert (beyond.gone, other.gone, empty.gone) == (True, True, True)
        assert beyond.events == other.events == tuple(await subject.events("t"))
        assert (empty.events, empty.head) == ((), None)


@needs_history
async def a_store_that_fell_behind_begins_an_epoch(make: MakeSubject) -> None:
    """A producer that has seen more than the store has is told; what survived stays readable."""
    async with make() as subject:
        await begun(subject.sink, "t")
        kept = place(await subject.sink.send("t", batch("r1", 1, 2)))
        seen = place(await subject.sink.send("t", batch("r1", 3, 2, seen=kept)))
        if not await subject.lose("t", kept):
            return
        with expect(EpochChangedError):
            await subject.sink.send("t", batch("r1", 5, seen=seen))
        await subject.sink.accept_run("t", request("r1"))
        attempt = (await subject.sink.begin_attempt("t", "r1", lease_s=LEASE_S)).number
        appended = await subject.sink.send("t", batch("r1", 1, 5, attempt=attempt))

        assert place(appended) > kept
        page = await subject.sink.read("t", kept, limit=10, max_bytes=10**6)
        assert not page.gone
        assert numbers(page.events) == [1, 2, 3, 4, 5]


@needs_history
async def snapshots_are_compare_and_set(make: MakeSubject) -> None:
    """Of two producers that saw the same snapshot, one replaces it."""
    async with make() as subject:
        await begun(subject.sink, "t")
        cursor = place(await subject.sink.send("t", batch("r1", 1, 4)))
        earlier = Snapshot(Cursor(cursor.epoch, cursor.seq - 1), (b'{"a":1}', b'{"b":2}'))
        later = Snapshot(cursor, (b'{"c":3}',))

        assert await subject.sink.get_snapshot("t") is None
        assert await subject.sink.put_snapshot("t", earlier, expected=None)
        assert not await subject.sink.put_snapshot("t", later, expected=None)
        assert await subject.sink.get_snapshot("t") == earlier
        assert await subject.sink.put_snapshot("t", later, expected=earlier.cursor)
        assert await subject.sink.get_snapshot("t") == later
        tail = await subject.sink.read("t", earlier.cursor, limit=10, max_bytes=10**6)
        assert not tail.gone
        assert numbers(tail.events) == [4]


async def registered_threads_have_one_owner(make: MakeSubject) -> None:
    """The first owner stays; names that differ in case are different names."""
    async with make() as subject:
        await subject.sink.register("key-1", "alice")
        await subject.sink.register("key-1", "alice")
        with expect(ConflictError):
            await subject.sink.register("key-1", "bob")
        await subject.sink.register("KEY-1", "bob")

        assert await subject.sink.owner("key-1") == "alice"
        assert await subject.sink.owner("KEY-1") == "bob"
        assert await subject.sink.owner("other") is None


async def deleted_threads_refuse_and_hold_nothing(make: MakeSubject) -> None:
    """Deleting leaves a tombstone: nothing to read, nothing can be added, not even by a producer under way."""
    async with make() as subject:
        await subject.sink.register("t", "alice")
        await begun(subject.sink, "t")
        appended = await subject.sink.send("t", batch("r1", 1))
        cursor = appended.cursor or Cursor(1, 1)  # without history it is stored nowhere
        await subject.sink.put_snapshot("t", Snapshot(cursor, (b"{}",)), expected=None)
        await subject.sink.delete("t")
        await subject.sink.delete("t")
        refused = (
            subject.sink.send("t", batch("r1", 2)),
            subject.sink.accept_run("t", request("r2")),
            subject.sink.register("t", "mallory"),
            subject.sink.get_snapshot("t"),
        )
        for call in refused:
            with expect(ThreadDeletedError):
                await call

        assert await events_of(subject.sink, "t") == []
        assert await subject.sink.get_run("t", "r1") is None
        assert await subject.sink.owner("t") is None


async def closing_twice_is_closing_once(make: MakeSubject) -> None:
    """``aclose`` is idempotent, and what is closed says so."""
    async with make() as subject:
        await begun(subject.sink, "t")
        await subject.sink.aclose()
        await subject.sink.aclose()
        with expect(StreamSinkError):
            await subject.sink.check()


CHECKS = (
    order_is_kept_per_group,
    lost_reply_then_retry_is_one_append,
    retried_terminal_is_one_terminal,
    two_producers_share_a_thread,
    batches_of_an_older_attempt_are_refused,
    records_must_follow_each_other,
    of_two_terminals_one_is_written,
    pages_are_bounded_and_complete,
    places_that_never_were_are_gone,
    a_store_that_fell_behind_begins_an_epoch,
    snapshots_are_compare_and_set,
    registered_threads_have_one_owner,
    deleted_threads_refuse_and_hold_nothing,
    closing_twice_is_closing_once,
)
