"""The publisher's process: appends to a timeline, then publishes what was appended. Commands come as JSON lines.

Append is the commit: every event is in the timeline, with its place, before the gateway hears of it.
"""

from __future__ import annotations

import sys
import time
from itertools import chain
from typing import Any

from bench.commands import obey
from bench.outlets import OUTLETS, Outlet
from bench.runs import BenchRun
from bench.shared import Counter
from streamsink.backends.memory.timeline import MemoryTimeline

PAUSE_S = 0.000_05


class Publisher:
    """Groups, and the way to the gateway."""

    def __init__(self, counter: str, port: int) -> None:
        self._counter = Counter(counter)
        self._port = port
        self._timeline = MemoryTimeline()
        self._runs: dict[str, BenchRun] = {}
        self._outlets: dict[str, Outlet] = {}
        self._outlet: Outlet

    async def begin(self, groups: list[str], outlet: str) -> dict[str, Any]:
        """Runs in these threads, published through this outlet from now on."""
        if outlet not in self._outlets:
            self._outlets[outlet] = OUTLETS[outlet](self._port)
        self._outlet = self._outlets[outlet]
        await self._outlet.begin(groups)
        for group in groups:
            run = self._runs[group] = BenchRun(group, self._timeline)
            await run.begin()
        return {}

    async def saturate(
        self, groups: list[str], members: int, events: int, burst: int, batched: bool = False
    ) -> dict[str, Any]:
        """Publish ``events``, ``burst`` in a row to a group; at most so many of each group are under way.

        Args:
            batched: as one batch.
        """
        turns = max(1, events // burst // len(groups))
        pieces = [await self._made(group, burst, batched) for group in chain.from_iterable([groups] * turns)]
        before, window = self._counter.get(), len(groups)
        step = max(1, window // 4)
        began, sent = time.monotonic(), 0
        while sent < len(pieces):
            if sent + step - (self._counter.get() - before) // members // burst > window:
                time.sleep(PAUSE_S)  # noqa: ASYNC251  nothing else runs here
                continue
            await self._outlet.send(list(chain.from_iterable(pieces[sent : sent + step])))
            sent += step
        return {"events": len(pieces) * burst, "began": began}

    async def _made(self, group: str, burst: int, batched: bool) -> list[Any]:
        events = [event for _ in range(burst) for event in await self._runs[group].append([0])]
        if batched:
            return self._outlet.encode_batch(group, events)
        return [self._outlet.encode(group, event) for event in events]

    async def steady(self, groups: list[str], rate: int, seconds: float) -> dict[str, Any]:
        """Publish ``rate`` events per second, each made when it is due."""
        began = time.monotonic()
        count = max(1, int(rate * seconds))
        for number in range(count):
            due = began + number / rate
            if (wait := due - time.monotonic()) > 0:
                time.sleep(wait)  # noqa: ASYNC251
            group = groups[number % len(groups)]
            (event,) = await self._runs[group].append([time.monotonic_ns()])
            await self._outlet.send([self._outlet.encode(group, event)])
        return {"events": count, "began": began}


if __name__ == "__main__":
    obey(lambda: Publisher(sys.argv[1], int(sys.argv[2])))
