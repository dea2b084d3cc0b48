"""A run that says tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.core.events import AGENT_MESSAGE, Envelope, Event, Record
from streamsink.core.runs import Batch, RunRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.core.timeline import Timeline

__all__ = ["BenchRun"]

TEXT = "a token or two, "


class BenchRun:
    """The one run of a thread."""

    def __init__(self, thread: str, timeline: Timeline) -> None:
        self._thread, self._timeline = thread, timeline
        self._run = f"run-{thread}"
        self._envelope = Envelope(thread, self._run, "bench")
        self._n = 0

    async def begin(self) -> None:
        await self._timeline.accept_run(self._thread, RunRequest(correlation_id=self._run, agent_name="bench"))
        await self._timeline.begin_attempt(self._thread, self._run, lease_s=3600)

    async def append(self, times: Sequence[int]) -> tuple[Event, ...]:
        """Tokens made at these times, as one batch."""
        first_n = self._n + 1
        records = tuple(self._record(t) for t in times)
        batch = Batch(correlation_id=self._run, attempt=1, first_n=first_n, records=records)
        appended = await self._timeline.append(self._thread, batch)
        return appended.events(records)

    def _record(self, t: int) -> Record:
        self._n += 1
        fields = {"messageId": "m1", "mode": "append", "offset": self._n * len(TEXT), "text": TEXT, "t": t}
        return self._envelope.record(AGENT_MESSAGE, attempt=1, at_ms=1_700_000_000_000, fields=fields)
