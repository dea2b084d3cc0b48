"""A sink on a timeline and a delivery that misbehave on command, all on the running loop's virtual time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from streamsink.backends.memory.timeline import MemoryTimeline
from streamsink.core.composed import ComposedSink
from streamsink.core.delivery import ConnectInfo, Delivery
from streamsink.core.errors import PartlyDeliveredError, UnavailableError
from streamsink.core.options import PublishOptions
from streamsink.testing.checking import events_of
from streamsink.testing.clock import virtual_runtime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from streamsink.core.events import Event
    from streamsink.core.identity import User
    from streamsink.core.runs import Appended, Batch, Run
    from streamsink.core.runtime import Runtime

__all__ = ["FaultyTimeline", "RecordingDelivery", "World", "steps", "world"]


class FaultyTimeline(MemoryTimeline):
    """A memory timeline as far away as a real store.

    Attributes:
        down: nothing can be reached.
        lost_replies: so many of the next appends happen, but their answers are lost.
        latency_s: how long an append takes.
        before_append: called with each batch that arrives.
        batches: those that arrived, with the time.
        left: what each thread held when the timeline was closed.
    """

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime=runtime)
        self.down = False
        self.lost_replies = 0
        self.latency_s = 0.0
        self.before_append: Callable[[Batch], None] = lambda batch: None
        self.batches: list[tuple[float, Batch]] = []
        self.left: dict[str, Sequence[Event]] = {}

    async def aclose(self) -> None:
        for thread, log in self._logs.items():
            self.left[thread] = log.read(None, limit=10**6, max_bytes=10**9).events
        await super().aclose()

    async def _travel(self) -> None:
        await asyncio.sleep(self.latency_s)
        if self.down:
            raise UnavailableError("the store cannot be reached")

    async def append(self, thread: str, batch: Batch) -> Appended:
        self.batches.append((asyncio.get_running_loop().time(), batch))
        await self._travel()
        self.before_append(batch)
        appended = await super().append(thread, batch)
        if self.lost_replies > 0:
            self.lost_replies -= 1
            raise UnavailableError("the answer was lost")
        return appended

    async def renew(self, thread: str, correlation_id: str, attempt: int, *, lease_s: float) -> bool:
        await self._travel()
        return await super().renew(thread, correlation_id, attempt, lease_s=lease_s)

    async def get_run(self, thread: str, correlation_id: str) -> Run | None:
        await self._travel()
        return await super().get_run(thread, correlation_id)


class RecordingDelivery(Delivery):
    """A delivery that notes what it is given.

    Attributes:
        failures: so many of the next deliveries fail.
        failure: what they then raise; None: UnavailableError.
        retry_after_s: what those say of when to come again.
        arrive_before_failing: how many events of a failing delivery arrive.
        gate: a delivery waits until it is set.
        events: what was delivered, by thread.
        closed: how often it was closed.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.failure: Exception | None = None
        self.retry_after_s: float | None = None
        self.arrive_before_failing = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.tries: list[float] = []
        self.events: dict[str, list[Event]] = {}
        self.groups: dict[str, set[str]] = {}
        self.closed = 0

    async def deliver(self, thread: str, events: Sequence[Event]) -> None:
        self.tries.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        await self.gate.wait()
        failed = False
        if self.failures > 0:
            self.failures -= 1
            if self.arrive_before_failing == 0:
                raise self.failure or UnavailableError("not now", retry_after_s=self.retry_after_s)
            events, failed = events[: self.arrive_before_failing], True
        self.events.setdefault(thread, []).extend(events)
        if failed:
            raise PartlyDeliveredError("not now", len(events), retry_after_s=self.retry_after_s)

    async def join(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        self.groups.setdefault(thread, set()).add(connection_id)

    async def leave(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        self.groups[thread].discard(connection_id)

    async def dissolve(self, thread: str) -> None:
        self.groups.pop(thread, None)

    async def connect_info(self, user: User, base_url: str) -> ConnectInfo:
        return ConnectInfo(f"{base_url}/client", f"token of {user.subject}")

    async def check(self) -> None:
        if self.failures:
            raise UnavailableError("not now")

    async def aclose(self) -> None:
        self.closed += 1


class World:
    """A sink and its two halves."""

    def __init__(self, options: PublishOptions) -> None:
        self.runtime = virtual_runtime()
        self.timeline = FaultyTimeline(self.runtime)
        self.delivery = RecordingDelivery()
        self.sink = ComposedSink(self.timeline, self.delivery, options=options, runtime=self.runtime)

    async def events(self, thread: str = "t") -> list[dict[str, Any]]:
        """The thread's events, each with its target."""
        stored = await events_of(self.sink, thread)
        return [{"target": event.target, **msgspec.json.decode(event.json)} for event in stored]

    async def targets(self, thread: str = "t") -> list[str]:
        """The targets of the thread's events."""
        return [event["target"] for event in await self.events(thread)]

    async def done(self, thread: str = "t") -> dict[str, Any]:
        """The thread's only terminal."""
        (terminal,) = [event for event in await self.events(thread) if event["target"] == "agentDone"]
        return terminal

    async def text(self, thread: str = "t") -> str:
        """All text of the thread's events."""
        return "".join(event["text"] for event in await self.events(thread) if event["target"] == "agentMessage")


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[World]:
    """A world whose runs are published with these options."""
    made = World(PublishOptions(**options))
    try:
        yield made
    finally:
        await made.sink.aclose()


async def steps(count: int = 20) -> None:
    """Let the loop turn so often, without letting time pass."""
    for _ in range(count):
        await asyncio.sleep(0)
