"""Commands for a process of the bench: JSON lines in, an answer each."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["obey"]


def obey(make: Callable[[], object]) -> None:
    """Make an object, in a loop, and call its coroutine methods that the lines name, with what else they say."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_obey(make))


async def _obey(make: Callable[[], object]) -> None:
    commanded, loop = make(), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        try:
            answer = await getattr(commanded, command.pop("do"))(**command)
        except Exception as error:  # told to the bench, which ends the run
            answer = {"error": repr(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
