"""``python -m bench.producers``: how many events one process publishes, and what one costs it and Redis."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from statistics import median

from bench.processes import GATEWAY_CORE, ROOT, Process, python
from bench.redis import Redis, redis

THREADS = 500


@dataclass(frozen=True)
class Producer:
    """Args:
    command: of its process; ``{redis}`` is Valkey's port.
    batch: events that it publishes at once.
    """

    name: str
    command: list[str]
    batch: int = 1


OURS = python("bench.producing.ours", "{redis}")
NODE = ["node", str(ROOT / "bench" / "producing" / "socketio_node.mjs"), "{redis}"]
PRODUCERS = (
    Producer("ours: order, history, publish, each answered", OURS),
    Producer("ours, batches of 4", OURS, batch=4),
    Producer("socket.io's Redis emitter (Node): publish, fire and forget", NODE),
)


@dataclass(frozen=True)
class Figures:
    """Of one producer in one round; CPU in µs per event."""

    per_s: float
    producer_us: float
    redis_us: float


def measure(producer: Producer, server: Redis, events: int) -> Figures:
    """One producer, once: half the events to warm up, then all of them."""
    command = [part.replace("{redis}", str(server.port)) for part in producer.command]
    groups = [f"P-{number}" for number in range(THREADS)]
    turns = max(4, events // THREADS // producer.batch)
    with Process(command, GATEWAY_CORE) as process:
        process.ask("begin", groups=groups)
        process.ask("publish", turns=turns // 2, batch=producer.batch)
        before = process.cpu_s(), server.cpu_s()
        published = process.ask("publish", turns=turns, batch=producer.batch)
        count = published["events"] / 1e6
        return Figures(
            published["events"] / published["seconds"],
            (process.cpu_s() - before[0]) / count,
            (server.cpu_s() - before[1]) / count,
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.producers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often")
    parser.add_argument("--events", type=int, default=60_000, help="in each round")
    arguments = parser.parse_args()
    found: dict[str, list[Figures]] = {producer.name: [] for producer in PRODUCERS}
    for number in range(arguments.rounds):
        for producer in PRODUCERS if number % 2 == 0 else reversed(PRODUCERS):
            print(f"round {number + 1}/{arguments.rounds}: {producer.name}", file=sys.stderr, flush=True)
            with redis() as server:  # a fresh one: what the last has stored should not count
                found[producer.name].append(measure(producer, server, arguments.events))
    print("| one process, 500 threads | events/s (all rounds) | its CPU, µs per event | Valkey's |\n|---|---|---|---|")
    for name, figures in found.items():
        rates = sorted(round(figure.per_s) for figure in figures)
        producer_us = median(figure.producer_us for figure in figures)
        redis_us = median(figure.redis_us for figure in figures)
        print(f"| {name} | {median(rates):,.0f} ({rates[0]:,} to {rates[-1]:,}) | {producer_us:.1f} | {redis_us:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
