"""The process of a `ProcessWorker`: `python -m tests.functions_platform.child function_app.py direct|runtime`.

Lines of JSON: first the functions, then an outcome for each invocation that comes. It ends with its input.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import azure.functions as func
import msgspec

from tests.functions_platform.data import Invocation
from tests.functions_platform.library import DirectLibrary

if TYPE_CHECKING:
    from tests.functions_platform.library import Library


def create_library(script: str, mode: str) -> Library:
    """Return the library for the app in the working directory's `script`."""
    if mode == "runtime":
        from tests.functions_platform.runtime import RuntimeLibrary, index_script

        return RuntimeLibrary(lambda: index_script(Path.cwd(), script))
    module = importlib.import_module(Path(script).stem)
    (app,) = (value for value in vars(module).values() if isinstance(value, func.FunctionRegister))
    return DirectLibrary(app)


async def serve(library: Library, answers: BinaryIO) -> None:
    loop = asyncio.get_running_loop()
    write = asyncio.Lock()
    tasks: set[asyncio.Task[None]] = set()

    async def answer(line: bytes) -> None:
        outcome = await library.invoke(msgspec.json.decode(line, type=Invocation), loop)
        async with write:
            await asyncio.to_thread(_put, answers, outcome)

    _put(answers, await library.index())
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        task = asyncio.create_task(answer(line))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def _put(answers: BinaryIO, message: object) -> None:
    answers.write(msgspec.json.encode(message) + b"\n")
    answers.flush()


def main() -> None:
    script, mode = sys.argv[1:]
    # What functions print is not for the host.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        asyncio.run(serve(create_library(script, mode), answers))
    os._exit(0)  # whatever a function still does on its threads


if __name__ == "__main__":
    main()
