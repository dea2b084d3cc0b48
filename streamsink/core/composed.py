"""A sink made of any timeline and any delivery."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, TypeVar

from streamsink.core.errors import PartlyDeliveredError
from streamsink.core.measures import Measures
from streamsink.core.sink import StreamSink

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamsink.core.cursor import Cursor
    from streamsink.core.delivery import ConnectInfo, Delivery
    from streamsink.core.events import Event
    from streamsink.core.identity import User
    from streamsink.core.options import PublishOptions
    from streamsink.core.runs import Accepted, Appended, Attempt, Batch, Cancelled, Interrupted, Run, RunRequest
    from streamsink.core.runtime import Runtime
    from streamsink.core.timeline import Page, Snapshot, Swept, Timeline

__all__ = ["ComposedSink"]

_log = logging.getLogger("streamsink")
_Ability = TypeVar("_Ability")

_TRIES: Final = 8
_FIRST_RETRY_S: Final = 0.1
_LONGEST_RETRY_S: Final = 5.0
_MAX_WAITING_EVENTS: Final = 10_000
# Runs whose end is being written when the sink closes have so long.
_LAST_WORDS_S: Final = 5.0


class ComposedSink(StreamSink, Measures):
    """Appends to ``timeline``, then delivers through ``delivery``; owns both.

    A delivery that failed is tried again in the background, in its thread's order, a bounded number of times. What
    is given up is counted in ``undelivered``, what came late in ``redelivered``; clients find what is missing in the
    timeline, by the hole or by the silence.
    """

    def __init__(
        self,
        timeline: Timeline,
        delivery: Delivery,
        *,
        options: PublishOptions | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        super().__init__(options=options, runtime=runtime)
        self._timeline = timeline
        self._delivery = delivery
        self._late: dict[str, deque[Event]] = {}
        self.undelivered: int = 0
        self.redelivered: int = 0

    @property
    def keeps_history(self) -> bool:
        return self._timeline.keeps_history

    def ability(self, kind: type[_Ability]) -> _Ability | None:
        for part in self._parts_for(kind):
            if isinstance(part, kind):
                return part
        return None

    def _parts_for(self, kind: type) -> Sequence[object]:
        """What is measured is counted here as well as in the halves."""
        return (self,) if kind is Measures else (self._delivery, self._timeline)

    def measure(self) -> Mapping[str, int]:
        """What is counted here, and what its parts count."""
        own = {
            "saved": self.options.pacer.merged,
            "redelivered": self.redelivered,
            "undelivered": self.undelivered,
        }
        return own | {name: count for part in self._measured() for name, count in part.measure().items()}

    def levels(self) -> Mapping[str, int]:
        """How much is here, and in its parts."""
        own = {"late": sum(len(late) for late in tuple(self._late.values()))}
        return own | {name: count for part in self._measured() for name, count in part.levels().items()}

    def _measured(self) -> list[Measures]:
        return [part for part in (self._timeline, self._delivery) if isinstance(part, Measures)]

    async def send(self, thread: str, batch: Batch) -> Appended:
        appended = await self._timeline.append(thread, batch)
        await self.deliver(thread, appended.events(batch.records))
        return appended

    async def deliver(self, thread: str, events: Sequence[Event]) -> None:
        """Try once here; what fails is tried again in the background."""
        if not events:
            return
        if thread in self._late:
            self._deliver_later(thread, events)
            return
        try:
            await self._delivery.deliver(thread, events)
        except Exception as reason:  # whatever it is, of a third party's backend too: appended is appended
            _log.warning("delivery failed, trying again: %s", type(reason).__name__)
            self._deliver_later(thread, events[_delivered_before(reason) :])
        except asyncio.CancelledError:
            self._deliver_later(thread, events)  # appended is appended, whoever has gone away
            raise

    def _deliver_later(self, thread: str, events: Sequence[Event]) -> None:
        late = self._late.get(thread)
        if late is None:
            late = self._late[thread] = deque()
            self.tasks.start(self._redeliver(thread, late), name="streamsink redelivery")
        late.extend(events)
        self._bound(late)

    def _bound(self, late: deque[Event]) -> None:
        while len(late) > _MAX_WAITING_EVENTS:
            late.popleft()
            self.undelivered += 1

    async def _redeliver(self, thread: str, late: deque[Event]) -> None:
        delay_s, tries = _FIRST_RETRY_S, 1
        try:
            while late and tries < _TRIES:
                await asyncio.sleep(self.runtime.jittered(delay_s))
                count, failed = await self._redelivered(thread, late)
                self.redelivered += count
                tries = 0 if count else tries + 1
                delay_s = _next_delay(0.0 if count else delay_s) if failed else 0.0
        finally:
            del self._late[thread]
            self.undelivered += len(late)
            if late:
                _log.error("gave up delivering %d events; clients will ask for them", len(late))

    async def _redelivered(self, thread: str, late: deque[Event]) -> tuple[int, bool]:
        """How many were delivered, and whether that failed; what was not waits again."""
        events = tuple(late)
        late.clear()
        try:
            await self._delivery.deliver(thread, events)
        except BaseException as reason:
            done = _delivered_before(reason)
            late.extendleft(reversed(events[done:]))
            self._bound(late)
            if isinstance(reason, Exception):
                return done, True
            raise
        return len(events), False

    async def accept_run(self, thread: str, request: RunRequest) -> Accepted:
        accepted = await self._timeline.accept_run(thread, request)
        await self.deliver(thread, accepted.events)
        return accepted

    async def begin_attempt(self, thread: str, correlation_id: str, *, lease_s: float, call: str = "") -> Attempt:
        return await self._timeline.begin_attempt(thread, correlation_id, lease_s=lease_s, call=call)

    async def wait_turn(self, thread: str, correlation_id: str, *, timeout_s: float) -> bool:
        return await self._timeline.wait_turn(thread, correlation_id, timeout_s=timeout_s)

    async def append(self, thread: str, batch: Batch) -> Appended:
        return await self._timeline.append(thread, batch)

    async def renew(self, thread: str, correlation_id: str, attempt: int, *, lease_s: float) -> bool:
        return await self._timeline.renew(thread, correlation_id, attempt, lease_s=lease_s)

    async def cancel(self, thread: str, correlation_id: str | None = None) -> Cancelled:
        cancelled = await self._timeline.cancel(thread, correlation_id)
        self.tell_cancelled(thread, cancelled.correlation_ids)
        await self.deliver(thread, cancelled.events)
        return cancelled

    async def interrupt(self, thread: str, correlation_id: str, attempt: int) -> Interrupted:
        interrupted = await self._timeline.interrupt(thread, correlation_id, attempt)
        await self.deliver(thread, interrupted.events)
        return interrupted

    async def get_run(self, thread: str, correlation_id: str) -> Run | None:
        return await self._timeline.get_run(thread, correlation_id)

    async def read(self, thread: str, after: Cursor | None, *, limit: int, max_bytes: int) -> Page:
        """As ``Timeline.read``; a reader is also who notices that a producer has died."""
        await self.sweep(thread)
        return await self._timeline.read(thread, after, limit=limit, max_bytes=max_bytes)

    async def get_snapshot(self, thread: str) -> Snapshot | None:
        return await self._timeline.get_snapshot(thread)

    async def put_snapshot(self, thread: str, snapshot: Snapshot, *, expected: Cursor | None) -> bool:
        return await self._timeline.put_snapshot(thread, snapshot, expected=expected)

    async def register(self, thread: str, owner: str) -> None:
        await self._timeline.register(thread, owner)

    async def owner(self, thread: str) -> str | None:
        return await self._timeline.owner(thread)

    async def delete(self, thread: str) -> None:
        await self._timeline.delete(thread)
        self._late.get(thread, deque()).clear()
        await self._delivery.dissolve(thread)

    async def sweep(self, thread: str | None = None) -> list[Swept]:
        swept = await self._timeline.sweep(thread)
        for each in swept:
            await self.deliver(each.thread, each.events)
        return swept

    async def join(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        await self._delivery.join(thread, connection_id, user_id=user_id)

    async def leave(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        await self._delivery.leave(thread, connection_id, user_id=user_id)

    async def dissolve(self, thread: str) -> None:
        await self._delivery.dissolve(thread)

    async def connect_info(self, user: User, base_url: str) -> ConnectInfo:
        return await self._delivery.connect_info(user, base_url)

    async def check(self) -> None:
        await self._timeline.check()
        await self._delivery.check()

    async def aclose(self) -> None:
        async with AsyncExitStack() as closing:  # everything, whatever fails or is cancelled meanwhile
            closing.push_async_callback(self._timeline.aclose)
            closing.push_async_callback(self._delivery.aclose)
            await self.tasks.aclose(ending_s=_LAST_WORDS_S)


def _delivered_before(reason: BaseException) -> int:
    return reason.count if isinstance(reason, PartlyDeliveredError) else 0


def _next_delay(delay_s: float) -> float:
    return min(max(delay_s * 2, _FIRST_RETRY_S), _LONGEST_RETRY_S)
