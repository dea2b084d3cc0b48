"""The timeline in Redis: each call is one script on one thread's keys, so it is atomic, whoever else calls."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from streamsink.backends.redis import replies
from streamsink.backends.redis.open_threads import OpenThreads
from streamsink.backends.redis.scripts import Script, Scripts
from streamsink.backends.redis.settings import RedisSettings
from streamsink.core.cursor import Cursor
from streamsink.core.documents import KeepsDocuments
from streamsink.core.endings import CANCELLED, PRODUCER_LOST, QUEUE_TIMEOUT, ending_fields
from streamsink.core.errors import StreamSinkError
from streamsink.core.events import Envelope
from streamsink.core.runtime import Runtime
from streamsink.core.timeline import Page, Snapshot, Swept, Timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.backends.redis.keys import Keys
    from streamsink.backends.redis.store import Store
    from streamsink.core.runs import Accepted, Appended, Attempt, Batch, Cancelled, Interrupted, Run, RunRequest

__all__ = ["RedisTimeline", "Turns"]

_log = logging.getLogger("streamsink")

# A request that comes a month late does not bring a deleted conversation back.
_TOMBSTONE_S: Final = 30 * 86_400
_OWNER_S: Final = 365 * 86_400
# How often a queued run looks whether it is its turn, when nobody tells it.
_LOOK_EVERY_S: Final = 2.0


# Scripts like all others, so that they share round trips and connections.
_GET: Final = Script.of("return redis.call('GET', KEYS[1])")
_HGET: Final = Script.of("return redis.call('HGET', KEYS[1], ARGV[1])")


class Turns(Protocol):
    """Tells that something has happened in a thread."""

    async def wait(self, thread: str, *, timeout_s: float) -> None:
        """Return when something has been appended to the thread, or after ``timeout_s``; sooner is no harm."""
        ...


class _Clock(Turns):
    async def wait(self, thread: str, *, timeout_s: float) -> None:
        await asyncio.sleep(min(timeout_s, 0.25))


class RedisTimeline(Timeline, KeepsDocuments):
    """See :class:`Timeline`; every call may raise ``UnavailableError``.

    Args:
        store: closed with this timeline.
        keys: their names.
        limits: how much is kept.
        runtime: ids and time, of which only hints are made; what counts is the server's clock.
        scripts: injected for their clock.
        turns: tells queued runs when to look; None: they look four times a second.
    """

    def __init__(
        self,
        store: Store,
        keys: Keys,
        *,
        limits: RedisSettings | None = None,
        runtime: Runtime | None = None,
        scripts: Scripts | None = None,
        turns: Turns | None = None,
    ) -> None:
        limits = limits or RedisSettings()
        self._store = store
        self._keys = keys
        self._kept = (limits.events, limits.ttl_s)
        self._ttl_s = limits.ttl_s
        self._runtime = runtime or Runtime()
        self._scripts = scripts or Scripts()
        self._turns = turns or _Clock()
        self._open = OpenThreads(store, keys.open)

    async def _run(self, script: Script, thread: str, *args: Any, more_keys: Sequence[bytes] = ()) -> list[Any]:
        keys = (self._keys.stream(thread), self._keys.hash(thread), self._keys.channel(thread), *more_keys)
        return replies.ok(await self._store.run(script, keys, args))

    async def accept_run(self, thread: str, request: RunRequest) -> Accepted:
        # Before the run is there: a thread that is looked at in vain costs less than a run that nobody ends.
        look_s = min(request.queue_timeout_s, request.lease_s or request.queue_timeout_s)
        await self._open.note(thread, self._runtime.now_ms() + look_s * 1000)
        message = () if request.message is None else (request.message.target, request.message.body)
        described = (*_described(thread, request), request.call or self._runtime.new_id())
        reply = await self._run(self._scripts.accept, thread, *self._kept, *described, *message)
        return replies.accepted(reply)

    async def begin_attempt(self, thread: str, correlation_id: str, *, lease_s: float, call: str = "") -> Attempt:
        await self._open.note(thread, self._runtime.now_ms() + lease_s * 1000)
        args = (self._ttl_s, correlation_id, lease_s, call or self._runtime.new_id())
        return replies.attempt(await self._run(self._scripts.begin, thread, *args))

    async def wait_turn(self, thread: str, correlation_id: str, *, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    is_turn, lease_ms = await self._run(self._scripts.turn, thread, correlation_id)
                    if is_turn:
                        return True
                    look_s = min(_LOOK_EVERY_S, lease_ms / 3000 or _LOOK_EVERY_S)
                    await self._turns.wait(thread, timeout_s=self._runtime.jittered(look_s))
        except TimeoutError:
            return False

    async def append(self, thread: str, batch: Batch) -> Appended:
        seen = ("", "") if batch.seen is None else (batch.seen.epoch, batch.seen.seq)
        records = [part for record in batch.records for part in (record.target, record.body)]
        args = (batch.correlation_id, batch.attempt, batch.first_n, *seen, *replies.terminal_args(batch.terminal))
        reply = await self._run(self._scripts.append, thread, *self._kept, *args, *records)
        return replies.appended(reply, len(batch.records))

    async def renew(self, thread: str, correlation_id: str, attempt: int, *, lease_s: float) -> bool:
        reply = await self._run(self._scripts.renew, thread, self._ttl_s, correlation_id, attempt, lease_s)
        return bool(reply[0])

    async def cancel(self, thread: str, correlation_id: str | None = None) -> Cancelled:
        rest = ending_fields(CANCELLED)
        return replies.cancelled(await self._run(self._scripts.cancel, thread, *self._kept, correlation_id or "", rest))

    async def interrupt(self, thread: str, correlation_id: str, attempt: int) -> Interrupted:
        return replies.interrupted(
            await self._run(self._scripts.interrupt, thread, *self._kept, correlation_id, attempt)
        )

    async def get_run(self, thread: str, correlation_id: str) -> Run | None:
        (view,) = await self._run(self._scripts.run, thread, correlation_id)
        return replies.run(view) if view else None

    async def read(self, thread: str, after: Cursor | None, *, limit: int, max_bytes: int) -> Page:
        place = "" if after is None else _id(after)
        return replies.page(await self._run(self._scripts.read, thread, place, limit, max_bytes))

    async def get_snapshot(self, thread: str) -> Snapshot | None:
        found = await self._run(self._scripts.get_snapshot, thread)
        return Snapshot(_cursor(found[0]), tuple(found[1:])) if found else None

    async def put_snapshot(self, thread: str, snapshot: Snapshot, *, expected: Cursor | None) -> bool:
        before = "" if expected is None else _id(expected)
        reply = await self._run(
            self._scripts.put_snapshot, thread, *self._kept, before, _id(snapshot.cursor), *snapshot.parts
        )
        return bool(reply[0])

    async def register(self, thread: str, owner: str) -> None:
        await self._run(self._scripts.register, thread, owner, _OWNER_S, more_keys=[self._keys.owner(thread)])

    async def owner(self, thread: str) -> str | None:
        found: bytes | None = await self._store.run(_GET, [self._keys.owner(thread)])
        return None if found is None else found.decode()

    async def get_document(self, thread: str, name: str) -> bytes | None:
        found: bytes | None = await self._store.run(_HGET, [self._keys.documents(thread)], [name])
        return found

    async def put_document(self, thread: str, name: str, document: bytes) -> None:
        more = [self._keys.documents(thread)]
        await self._run(self._scripts.put_document, thread, self._ttl_s, name, document, more_keys=more)

    async def delete(self, thread: str) -> None:
        more = [self._keys.owner(thread), self._keys.documents(thread)]
        await self._run(self._scripts.delete, thread, _TOMBSTONE_S, more_keys=more)

    async def sweep(self, thread: str | None = None) -> list[Swept]:
        if thread is not None:
            _, swept = await self._sweep(thread)
            return [swept] if swept.events else []
        found: list[Swept] = []
        failed: list[StreamSinkError] = []
        async with self._open.due(self._runtime.now_ms()) as due:
            outcomes = await asyncio.gather(*[self._sweep(name) for name in due.threads], return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, StreamSinkError):  # one thread's trouble is not the others'
                    failed.append(outcome)
                elif isinstance(outcome, BaseException):
                    raise outcome
                else:
                    next_deadline_ms, swept = outcome
                    due.settle(swept.thread, next_deadline_ms)
                    found += [swept] if swept.events else []
        if failed and len(failed) == len(due.threads):
            raise failed[0]
        if failed:
            _log.warning("%d threads could not be swept: %s", len(failed), type(failed[0]).__name__)
        return found

    async def _sweep(self, thread: str) -> tuple[float | None, Swept]:
        endings = (ending_fields(QUEUE_TIMEOUT), ending_fields(PRODUCER_LOST))
        deadline_ms, events = await self._run(self._scripts.sweep, thread, *self._kept, *endings)
        return (deadline_ms if deadline_ms >= 0 else None), Swept(thread, replies.events(events))

    async def check(self) -> None:
        await self._store.check(self._keys.ready)

    async def aclose(self) -> None:
        await self._store.aclose()


def _described(thread: str, request: RunRequest) -> tuple[Any, ...]:
    return (
        request.correlation_id,
        request.agent_name,
        Envelope(thread, request.correlation_id, request.agent_name).prefix,
        request.idempotency_key or "",
        request.fingerprint,
        "" if request.queue_limit is None else request.queue_limit,
        request.queue_timeout_s,
        request.redelivery_s,
        request.lease_s,
        int(request.ordered),
    )


def _id(cursor: Cursor) -> str:
    return f"{cursor.epoch}-{cursor.seq}"


def _cursor(stream_id: bytes) -> Cursor:
    epoch, seq = stream_id.split(b"-")
    return Cursor(int(epoch), int(seq))
