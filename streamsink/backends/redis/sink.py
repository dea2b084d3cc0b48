"""Timeline and delivery in one: what a script appends, it has published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.core.composed import ComposedSink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.core.events import Event
    from streamsink.core.runs import Appended, Batch

__all__ = ["RedisSink"]


class RedisSink(ComposedSink):
    """A :class:`~streamsink.backends.redis.timeline.RedisTimeline` and a delivery that listens to its channels."""

    async def send(self, thread: str, batch: Batch) -> Appended:
        return await self.append(thread, batch)

    async def deliver(self, thread: str, events: Sequence[Event]) -> None:
        """Nothing is left to be done: the script that gave these events their place has published them. A gateway
        that did not hear it reads them from the stream."""
