"""A sink made of any timeline and any delivery."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, TypeVar

from streamsink.core.measures import Measures
from streamsink.core.redelivery import Redelivery
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

_Ability = TypeVar("_Ability")

_LONGEST_PATIENCE_S: Final = 10.0
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
        # A run's lease is renewed between two sends: waiting for a delivery must not outlast it.
        patience_s = min(_LONGEST_PATIENCE_S, self.options.lease_s / 3)
        self._outgoing = Redelivery(delivery, tasks=self.tasks, runtime=self.runtime, patience_s=patience_s)

    @property
    def undelivered(self) -> int:
        """Events whose delivery was given up."""
        return self._outgoing.undelivered

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
            "redelivered": self._outgoing.redelivered,
            "undelivered": self._outgoing.undelivered,
        }
        return own | {name: count for part in self._measured() for name, count in part.measure().items()}

    def levels(self) -> Mapping[str, int]:
        """How much is here, and in its parts."""
        own = {"late": self._outgoing.waiting}
        return own | {name: count for part in self._measured() for name, count in part.levels().items()}

    def _measured(self) -> list[Measures]:
        return [part for part in (self._timeline, self._delivery) if isinstance(part, Measures)]

    async def send(self, thread: str, batch: Batch) -> Appended:
        appended = await self._timeline.append(thread, batch)
        await self.deliver(thread, appended.events(batch.records))
        return appended

    async def deliver(self, thread: str, events: Sequence[Event]) -> None:
        """Try once here; what fails is tried again in the background."""
        await self._outgoing.deliver(thread, events)

    async def flush(self, thread: str, *, timeout_s: float) -> bool:
        return await self._outgoing.flush(thread, timeout_s=timeout_s)

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
        self._outgoing.forget(thread)
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
