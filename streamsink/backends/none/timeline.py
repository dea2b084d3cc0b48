"""A timeline that keeps no history (docs/history.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamsink.backends.none.runs import UnkeptRuns
from streamsink.backends.process.timeline import ProcessTimeline
from streamsink.core.handing_over import HandsOver
from streamsink.core.timeline import Page, Snapshot

if TYPE_CHECKING:
    from streamsink.core.cursor import Cursor
    from streamsink.core.runtime import Runtime

__all__ = ["NoTimeline"]

# For whoever executes or asks for a run again: a retry comes in seconds, a redelivery in minutes.
_ENDED_S: Final = 900
_ENDED_BYTES: Final = 33_554_432


class NoTimeline(ProcessTimeline[UnkeptRuns], HandsOver):
    """Open runs of this process with their attempts, leases, turns and cancels; for a while, how others ended.

    Args:
        ended_s: how long a thread whose runs have ended is known.
        ended_bytes: of all responses of ended runs; those of the least recently used threads are forgotten first.
    """

    def __init__(
        self, *, ended_s: float = _ENDED_S, ended_bytes: int = _ENDED_BYTES, runtime: Runtime | None = None
    ) -> None:
        super().__init__(ttl_s=ended_s, max_bytes=ended_bytes, runtime=runtime)

    def _new(self, thread: str) -> UnkeptRuns:
        return UnkeptRuns(thread)

    @property
    def keeps_history(self) -> bool:
        return False

    async def hand_over(self, thread: str, correlation_id: str) -> None:
        """As ``HandsOver.hand_over``."""
        self._check_open()
        log = self._logs.get(thread)
        if log is not None:
            log.hand_over(correlation_id)
            self._resize(log)

    async def read(self, thread: str, after: Cursor | None, *, limit: int, max_bytes: int) -> Page:
        """Nothing; no place is known."""
        self._check_open()
        return Page((), None, gone=after is not None)

    async def get_snapshot(self, thread: str) -> Snapshot | None:
        """None."""
        self._check(thread)
        return None

    async def put_snapshot(self, thread: str, snapshot: Snapshot, *, expected: Cursor | None) -> bool:
        """Not stored."""
        self._check(thread)
        return False
