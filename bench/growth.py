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
from bench.systems import SYSTEMS
from bench.workloads import Workload

OURS = next(system for system in SYSTEMS if system.name == "ours, redis")
EVENTS = 40_000


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


def measure(case: Case) -> tuple[float, float]:
    """CPU in ms: of the node that has the connections, per 1000 delivered; of another one, per 1000 published."""
    workload, groups = case.workload, case.workload.names()
    with ExitStack() as stack:
        server = stack.enter_context(redis())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        session = Session(OURS, stack, server.port, str(folder / "delivered"))
        command = [part.replace("{redis}", str(server.port)) for part in OURS.command]
        others = [stack.enter_context(Process(command, GATEWAY_CORE)) for _ in range(case.nodes - 1)]
        for other in others:
            other.read(30)
        session.begin(groups, case.members, OURS.outlet)
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
    found: dict[str, list[tuple[float, float]]] = {case.name: [] for case in CASES}
    for number in range(rounds):
        for case in CASES if number % 2 == 0 else reversed(CASES):
            print(f"round {number + 1}/{rounds}: {case.name}", file=sys.stderr, flush=True)
            found[case.name].append(measure(case))
    print(
        "| | CPU ms per 1000 delivered (all rounds) | a node without subscribers, ms per 1000 published |\n"
        "|---|---|---|"
    )
    for case in CASES:
        own, elsewhere = ([each[i] for each in found[case.name]] for i in (0, 1))
        other = f"{median(elsewhere):.3f}" if case.nodes > 1 else ""
        print(f"| {case.name} | {median(own):.1f} ({min(own):.1f} to {max(own):.1f}) | {other} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
