"""Appends through the scripts of the redis backend: a run per thread, each with one batch in flight. Argument: port."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from bench.commands import obey
from bench.runs import BenchRun
from bench.store import redis_timeline


class Producing:
    """The runs."""

    def __init__(self, port: int) -> None:
        self._timeline = redis_timeline(port)
        self._runs: list[BenchRun] = []

    async def begin(self, groups: list[str]) -> dict[str, Any]:
        """A run in each of these threads."""
        self._runs = [BenchRun(group, self._timeline) for group in groups]
        await asyncio.gather(*(run.begin() for run in self._runs))
        return {}

    async def publish(self, turns: int, batch: int) -> dict[str, Any]:
        """So many batches of each, of so many events."""
        began = time.monotonic()
        await asyncio.gather(*(self._publish(run, turns, batch) for run in self._runs))
        return {"seconds": time.monotonic() - began, "events": turns * batch * len(self._runs)}

    async def _publish(self, run: BenchRun, turns: int, batch: int) -> None:
        for _ in range(turns):
            await run.append([0] * batch)


if __name__ == "__main__":
    obey(lambda: Producing(int(sys.argv[1])))
