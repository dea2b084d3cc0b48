"""``python -m bench``: measure, print a table, say whether the goals hold."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import nullcontext

from bench import report
from bench.measure import Figures, measure
from bench.redis import redis
from bench.systems import SYSTEMS
from bench.workloads import WORKLOADS


def main() -> int:
    arguments = _arguments()
    systems = [
        system for system in SYSTEMS if not arguments.only or any(part in system.name for part in arguments.only)
    ]
    rounds, factor, steady_s, idle = (
        (1, 0.15, 0.5, [2_000]) if arguments.quick else (3, 1.0, 1.5, [2_000, 5_000, 10_000])
    )
    rounds = arguments.rounds or rounds
    names = arguments.load or [workload.name for workload in WORKLOADS]
    workloads = [workload.scaled(factor) for workload in WORKLOADS if workload.name in names]
    found: dict[str, list[Figures]] = {system.name: [] for system in systems}
    began = time.monotonic()
    for number in range(rounds):
        for system in systems if number % 2 == 0 else reversed(systems):
            print(f"round {number + 1}/{rounds}: {system.name}", file=sys.stderr, flush=True)
            counts = idle if number == 0 else []
            with redis() if system.needs_redis else nullcontext() as server:
                port = server.port if server else 0
                found[system.name].append(measure(system, workloads, idle=counts, steady_s=steady_s, redis=port))
    print(report.table(found))
    print(f"\n{rounds} round(s) in {time.monotonic() - began:.0f} s; medians.")
    return 1 if report.is_anything_wrong(found) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less than a minute, for a first look")
    parser.add_argument(
        "--load",
        action="append",
        choices=[workload.name for workload in WORKLOADS],
        help="this one only; may be given again",
    )
    parser.add_argument("--rounds", type=int, help="how often")
    parser.add_argument("--only", action="append", help="systems whose name contains this; may be given again")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
