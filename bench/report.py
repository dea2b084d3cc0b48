"""The table, and the goals."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.measure import Figures

    Found = dict[str, list[Figures]]

COLUMNS = (
    "system",
    "load",
    "delivered/s",
    "CPU ms per 1000",
    "the same, 4 in one loop turn",
    "the same, a batch of 4",
    "p50 / p99 ms",
    "through the scripts: delivered/s, CPU",
    "p50 / p99 ms",
    "kB per idle connection",
    "lost, doubled, reordered, cut",
)
PHASES = {
    "single": "one by one",
    "burst": "4 in one loop turn",
    "batch": "a batch of 4",
    "stored": "through the scripts",
}
# Phase, the floor's phase, and what the first may cost of the second.
GOALS = (("single", "single", 1.4), ("burst", "single", 0.5), ("batch", "single", 0.5))
STORED = ("stored", "stored", 1.4)


def table(found: Found) -> str:
    """Markdown: one row per system, then the goals."""
    rows = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    rows += [_row(name, workload, figures) for name, figures in found.items() for workload in _workloads(figures)]
    return "\n".join([*rows, "", *_goals(found)])


def is_anything_wrong(found: Found) -> bool:
    """Whether an event was lost, doubled or out of order anywhere."""
    return any(any(figure.wrong.values()) for figures in found.values() for figure in figures)


def _row(name: str, workload: str, figures: list[Figures]) -> str:
    single, burst = (f"{_median(figures, workload, phase, 'cpu_ms'):.1f}" for phase in ("single", "burst"))
    batch = f"{_median(figures, workload, 'batch', 'cpu_ms'):.1f}" if (workload, "batch") in figures[0].phases else ""
    stored = latency = ""
    if (workload, "stored") in figures[0].phases:
        stored = " / ".join(f"{_median(figures, workload, 'stored', key):,.1f}" for key in ("per_s", "cpu_ms"))
        latency = _latency(figures, workload, "stored steady")
    per_s = _median(figures, workload, "burst", "per_s")
    idle = ", ".join(f"{kb:.1f}" for figure in figures for kb in figure.idle_kb.values())
    wrong = ", ".join(
        str(sum(figure.wrong.get(key, 0) for figure in figures)) for key in ("lost", "doubled", "reordered", "closed")
    )
    cells = (name, workload, f"{per_s:,.0f}", single, burst, batch)
    cells += (_latency(figures, workload, "steady"), stored, latency, idle, wrong)
    return f"| {' | '.join(cells)} |"


def _latency(figures: list[Figures], workload: str, phase: str) -> str:
    return " / ".join(f"{_median(figures, workload, phase, key):.2f}" for key in ("p50_ms", "p99_ms"))


def _goals(found: Found) -> Iterable[str]:
    for where in ("", ", redis"):
        ours, floor = found.get(f"ours{where}"), found.get(f"floor{where}")
        if ours and floor:
            yield from _ratios(where, ours, floor)
    ours = found.get("ours")
    if not ours:
        return
    for kb in ours[0].idle_kb.items():
        yield _goal(f"kB per idle connection, {kb[0]} of them", kb[1], 15)
    for count, worst_ms in ours[0].worst_ms.items():
        yield _goal(f"ms that the loop was blocked at most while {count} connected", worst_ms, 50)


def _ratios(where: str, ours: list[Figures], floor: list[Figures]) -> Iterable[str]:
    for workload in _workloads(ours):
        for phase, base, goal in (*GOALS, STORED) if (workload, "stored") in ours[0].phases else GOALS:
            ratio = _median(ours, workload, phase, "cpu_ms") / _median(floor, workload, base, "cpu_ms")
            rounds = [
                mine.phases[workload, phase]["cpu_ms"] / its.phases[workload, base]["cpu_ms"]
                for mine, its in zip(ours, floor, strict=True)
            ]
            what = f"{workload}{where}, {PHASES[phase]}: ours / the floor's single write"
            yield _goal(what, ratio, goal) + f" (rounds: {min(rounds):.2f} to {max(rounds):.2f})"


def _workloads(figures: list[Figures]) -> list[str]:
    return list(dict.fromkeys(workload for workload, _ in figures[0].phases))


def _goal(what: str, value: float, goal: float) -> str:
    return f"* {what}: **{value:.2f}**, goal {goal:g}: {'holds' if value <= goal else 'DOES NOT HOLD'}"


def _median(figures: list[Figures], workload: str, phase: str, key: str) -> float:
    return median(figure.phases[workload, phase][key] for figure in figures)
