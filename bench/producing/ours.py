"""Appends through the scripts of the redis backend: a run per thread, each with one batch in flight. Argument: port."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import uvloop

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


async def main() -> None:
    producing = Producing(int(sys.argv[1]))
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        try:
            answer = await getattr(producing, command.pop("do"))(**command)
        except Exception as error:  # told to the bench, which ends the run
            answer = {"error": repr(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
