"""``python -m bench.growth``: what more threads, more connections and more nodes cost a node of the redis backend."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.measure import Session
from bench.processes import GATEWAY_CORE, Process
from bench.redis import redis
from bench.systems import SYSTEMS, System
from bench.workloads import Workload

BY_NAME = {system.name: system for system in SYSTEMS}
OURS, FLOOR = BY_NAME["ours, redis"], BY_NAME["floor, redis"]
EVENTS = 40_000
HEAD = "| | ours, CPU ms per 1000 delivered | the floor | a node without subscribers, per 1000 published |"


@dataclass(frozen=True)
class Case:
    """Args:
    nodes: of which the first has all connections.
    """

    name: str
    groups: int
    members: int
    nodes: int = 1

    @property
    def workload(self) -> Workload:
        return Workload("G", self.groups, self.members, max(self.groups, EVENTS // self.members), 0)


CASES = (
    Case("100 threads of 1 connection", 100, 1),
    Case("500 threads of 1", 500, 1),
    Case("2000 threads of 1", 2_000, 1),
    Case("100 threads of 5: 500 connections", 100, 5),
    Case("100 threads of 50: 5000 connections", 100, 50),
    Case("3 nodes, 500 threads of 1 on one of them", 500, 1, nodes=3),
)


def measure(system: System, case: Case) -> tuple[float, float]:
    """CPU in ms: of the node with the connections, per 1000 delivered; of another, per 1000 published."""
    workload, groups = case.workload, case.workload.names()
    with ExitStack() as stack:
        server = stack.enter_context(redis())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        session = Session(system, stack, server.port, str(folder / "delivered"))
        command = [part.replace("{redis}", str(server.port)) for part in system.command]
        others = [stack.enter_context(Process(command, GATEWAY_CORE)) for _ in range(case.nodes - 1)]
        for other in others:
            other.read(30)
        session.begin(groups, case.members, system.outlet)
        common = {"groups": groups, "members": case.members, "burst": 1, "do": "saturate"}
        session.phase(workload, "warm-up", events=max(len(groups), workload.events // 4), **common)
        before = [other.cpu_s() for other in others]
        session.phase(workload, "single", events=workload.events, **common)
        idle_s = sum(other.cpu_s() - since for other, since in zip(others, before, strict=True))
        if any(session.figures.wrong.values()):
            raise RuntimeError(f"{case.name}: {session.figures.wrong}")
        elsewhere_ms = idle_s * 1e6 / workload.events / len(others) if others else 0.0
        return session.figures.phases["G", "single"]["cpu_ms"], elsewhere_ms


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often")
    rounds = parser.parse_args().rounds
    ours: dict[str, list[tuple[float, float]]] = {case.name: [] for case in CASES}
    floor: dict[str, list[float]] = {case.name: [] for case in CASES}
    for number in range(rounds):
        for case in CASES if number % 2 == 0 else reversed(CASES):
            print(f"round {number + 1}/{rounds}: {case.name}", file=sys.stderr, flush=True)
            ours[case.name].append(measure(OURS, case))
            if case.nodes == 1:
                floor[case.name].append(measure(FLOOR, case)[0])
    print(f"{HEAD}\n|---|---|---|---|")
    for case in CASES:
        own, elsewhere = zip(*ours[case.name], strict=True)
        other = f"{median(elsewhere):.2f}" if case.nodes > 1 else ""
        print(f"| {case.name} | {_spread(own)} | {_spread(floor[case.name])} | {other} |")
    return 0


def _spread(found: list[float] | tuple[float, ...]) -> str:
    return f"{median(found):.1f} ({min(found):.1f} to {max(found):.1f})" if found else ""


if __name__ == "__main__":
    sys.exit(main())
