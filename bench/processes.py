"""Processes of the bench: pinned to a core, spoken to in JSON lines, measured through /proc, ended by their id."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

ROOT = Path(__file__).parent.parent
ANSWER_S = 90.0

# What is measured has a core for itself.
GATEWAY_CORE, OTHER_CORE = 0, 1


class Process:
    """A child that is ended on leaving.

    Args:
        command: what to run.
        core: where.
    """

    def __init__(self, command: list[str], core: int) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NODE_PATH": str(ROOT / "bench" / "node_modules")}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=environment
        )
        pin(self._process.pid, core)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)

    def read(self, timeout_s: float = ANSWER_S) -> dict[str, Any]:
        """The next line."""
        assert self._process.stdout is not None
        file, end = self._process.stdout.fileno(), time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([file], [], [], max(0.0, end - time.monotonic()))
            data = os.read(file, 1_048_576) if ready else b""
            if not data:
                raise RuntimeError(f"no answer from {self._process.args!r}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self._process.args!r}: {answer['error']}")
        return answer

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """A command, and its answer."""
        self.tell(do, **arguments)
        return self.read()

    def tell(self, do: str, **arguments: Any) -> None:
        """A command whose answer is read later."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        self._process.stdin.flush()

    def cpu_s(self) -> float:
        """Time spent on a CPU by all of its threads."""
        return cpu_s(self._process.pid)

    def resident_bytes(self) -> int:
        """Its memory."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def pin(pid: int, core: int) -> None:
    """Have a process, all its threads, run on one core."""
    cores = sorted(os.sched_getaffinity(0))
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {cores[core % len(cores)]})


def cpu_s(pid: int) -> float:
    """Time that a process has spent on a CPU, all its threads."""
    stats = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(stat.read_text().split()[0]) for stat in stats) / 1e9


def python(module: str, *arguments: str) -> list[str]:
    """A module of the bench, in this interpreter's environment."""
    return [sys.executable, "-m", module, *arguments]
