"""The timeline of one process, in its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.backends.memory.log import ThreadLog
from streamsink.backends.memory.settings import MemorySettings
from streamsink.backends.process.timeline import ProcessTimeline
from streamsink.core.timeline import Page, Snapshot

if TYPE_CHECKING:
    from streamsink.core.cursor import Cursor
    from streamsink.core.runtime import Runtime

__all__ = ["MemoryTimeline"]


class MemoryTimeline(ProcessTimeline[ThreadLog]):
    """Threads with their events and snapshots, bounded by ``limits``."""

    def __init__(self, *, limits: MemorySettings | None = None, runtime: Runtime | None = None) -> None:
        self._limits = limits or MemorySettings()
        super().__init__(ttl_s=self._limits.ttl_s, max_bytes=self._limits.max_bytes, runtime=runtime)

    def _new(self, thread: str) -> ThreadLog:
        return ThreadLog(thread, keep_events=self._limits.events)

    async def read(self, thread: str, after: Cursor | None, *, limit: int, max_bytes: int) -> Page:
        if thread in self._tombstones:
            return Page((), None, gone=after is not None)
        return self._known(thread).read(after, limit=limit, max_bytes=max_bytes)

    async def get_snapshot(self, thread: str) -> Snapshot | None:
        return self._known(thread).snapshot

    async def put_snapshot(self, thread: str, snapshot: Snapshot, *, expected: Cursor | None) -> bool:
        log = self.log(thread)
        stored = log.put_snapshot(snapshot, expected)
        self._resize(log)
        return stored
