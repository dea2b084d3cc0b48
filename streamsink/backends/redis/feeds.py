"""What is published to the threads that somebody here looks at; what was missed is read from the timeline."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from streamsink.backends.redis.message import DELETED, decode
from streamsink.core.cursor import Cursor
from streamsink.core.runtime import Runtime, TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from streamsink.backends.gateway.json_events import JsonEvents
    from streamsink.backends.redis.channels import Channels
    from streamsink.backends.redis.keys import Keys
    from streamsink.core.events import Event
    from streamsink.core.timeline import Timeline

__all__ = ["Feeds"]

_log = logging.getLogger("streamsink")

_AT_ONCE: Final = 50
_PAGE_EVENTS: Final = 1_000
_PAGE_BYTES: Final = 1_048_576
_FIRST_RETRY_S: Final = 0.1
_LONGEST_RETRY_S: Final = 2.0


class Feeds:
    """The threads that this node listens to.

    Args:
        subscriber: reads the channels; closed by who made it.
        keys: their names.
        timeline: has what was missed.
        publish: takes batches of a thread's events, in order; some may come twice.
        dissolve: called when a thread was deleted.
        runtime: for jitter.
    """

    def __init__(
        self,
        subscriber: Channels,
        keys: Keys,
        timeline: Timeline,
        *,
        publish: Callable[[str, Sequence[Iterable[Event]]], None],
        dissolve: Callable[[str], None],
        runtime: Runtime | None = None,
    ) -> None:
        self._subscriber = subscriber
        self._keys = keys
        self._timeline = timeline
        self.publish = publish
        self.dissolve = dissolve
        self._runtime = runtime or Runtime()
        self._feeds: dict[str, _Feed] = {}
        self.behind: dict[str, None] = {}  # threads that something may have been missed of
        self._tasks = TaskOwner()
        self._repairing: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many threads."""
        return len(self._feeds)

    async def open(self, thread: str) -> None:
        """Listen to a thread; returns when its next batch reaches this node. Again is no error.

        Raises:
            UnavailableError: it cannot be listened to now.
        """
        feed = self._feeds.get(thread)
        if feed is None:
            feed = self._feeds[thread] = _Feed(self, thread)
        await self._subscriber.listen(self._keys.channel(thread), feed)
        if not feed.epoch:
            page = await self._timeline.read(thread, None, limit=0, max_bytes=0)
            if page.head is not None:
                feed.begin_at(page.head)

    def close(self, thread: str) -> None:
        """Listen no more; again is no error."""
        feed = self._feeds.pop(thread, None)
        self.behind.pop(thread, None)
        if feed is not None:
            self._subscriber.unlisten(self._keys.channel(thread), feed)

    def mend(self, feed: _Feed) -> None:
        """Something may have been missed: read what follows what was seen."""
        if self._feeds.get(feed.thread) is not feed:
            return
        self.behind[feed.thread] = None
        if self._repairing is None:
            self._repairing = self._tasks.start(self._repair(), name="streamsink redis repair")

    async def _repair(self) -> None:
        delay_s = _FIRST_RETRY_S
        try:
            while self.behind:
                some = list(self.behind)[:_AT_ONCE]
                results = await asyncio.gather(*map(self._catch_up, some), return_exceptions=True)
                failed = [result for result in results if isinstance(result, BaseException)]
                if not failed:
                    delay_s = _FIRST_RETRY_S
                    continue
                names = ", ".join(sorted({type(error).__name__ for error in failed}))
                _log.warning("reading what was missed failed, trying again: %s", names)
                await asyncio.sleep(self._runtime.jittered(delay_s))
                delay_s = min(delay_s * 2, _LONGEST_RETRY_S)
        finally:
            self._repairing = None

    async def _catch_up(self, thread: str) -> None:
        feed = self._feeds.get(thread)
        after, more = feed.place if feed is not None else None, True
        while more and feed is not None and thread in self.behind:
            page = await self._timeline.read(thread, after, limit=_PAGE_EVENTS, max_bytes=_PAGE_BYTES)
            more = page.more
            if page.events:
                after = _place(page.events[-1])
                self._publish_newer(feed, page.events)
        self.behind.pop(thread, None)

    def _publish_newer(self, feed: _Feed, events: Sequence[Event]) -> None:
        """Of a place that is gone, all that there is comes: what a lost epoch showed is not shown again."""
        seen = feed.place
        newer = [event for event in events if seen is None or _place(event) > seen]
        if newer:
            feed.epoch, feed.seq = newer[-1].epoch, newer[-1].seq
            self.publish(feed.thread, [newer])

    async def aclose(self) -> None:
        """Listen to nothing more; idempotent."""
        for thread in tuple(self._feeds):
            self.close(thread)
        await self._tasks.aclose()


class _Feed:
    """One thread's listener.

    Attributes:
        epoch, seq: everything up to here has been published here, or was there before anybody looked. Plain values:
            they are compared for every batch. An empty epoch: nothing is known yet.
    """

    __slots__ = ("_feeds", "epoch", "seq", "thread")

    def __init__(self, feeds: Feeds, thread: str) -> None:
        self._feeds = feeds
        self.thread = thread
        self.epoch: str = ""
        self.seq: int = 0

    @property
    def place(self) -> Cursor | None:
        """The same as a cursor."""
        return Cursor(int(self.epoch), self.seq) if self.epoch else None

    def begin_at(self, head: Cursor) -> None:
        """Nothing up to here is missed, unless a batch has come already."""
        if not self.epoch:
            self.epoch, self.seq = str(head.epoch), head.seq

    def on_messages(self, payloads: Sequence[bytes]) -> None:
        """Batches were published, or the thread is no more."""
        feeds, thread, batches = self._feeds, self.thread, []
        for payload in payloads:
            try:
                events = decode(payload)
            except ValueError:
                if payload != DELETED:
                    self._miss()
                continue
            if events.first == self.seq + 1 and events.epoch == self.epoch and not feeds.behind:
                self.seq = events.last
            else:
                self._look_at(events)
            batches.append(events)
        if batches:
            feeds.publish(thread, batches)
        if len(batches) < len(payloads) and DELETED in payloads:
            feeds.dissolve(thread)

    def _miss(self) -> None:
        """Something else than our scripts has published here; what they have, the stream has, too."""
        _log.error("what was published to a thread makes no sense; reading its stream")
        self._feeds.mend(self)

    def _look_at(self, events: JsonEvents) -> None:
        """At a place that is not the next one, or while something is missed of some thread."""
        if events.first != (self.seq + 1 if events.epoch == self.epoch else 1) and self.epoch:
            self._feeds.mend(self)
        if self.thread not in self._feeds.behind:
            self.epoch, self.seq = events.epoch, events.last

    def on_gap(self) -> None:
        """Batches may have been lost."""
        self._feeds.mend(self)


def _place(event: Event) -> Cursor:
    return Cursor(int(event.epoch), event.seq)
