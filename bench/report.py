"""The table, and the goals."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.measure import Figures

    Found = dict[str, list[Figures]]

NAMES = ("W1", "W2", "W3")
COLUMNS = (
    "system",
    "load",
    "delivered/s",
    "CPU ms per 1000",
    "the same, 4 in one loop turn",
    "the same, a batch of 4",
    "p50 / p99 ms",
    "kB per idle connection",
    "lost, doubled, reordered, cut",
)
PHASES = {"single": "one by one", "burst": "4 in one loop turn", "batch": "a batch of 4"}


def table(found: Found) -> str:
    """Markdown: one row per system, then the goals."""
    rows = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    rows += [_row(name, workload, figures) for name, figures in found.items() for workload in NAMES]
    return "\n".join([*rows, "", *_goals(found)])


def is_anything_wrong(found: Found) -> bool:
    """Whether an event was lost, doubled or out of order anywhere."""
    return any(any(figure.wrong.values()) for figures in found.values() for figure in figures)


def _row(name: str, workload: str, figures: list[Figures]) -> str:
    single, burst = (f"{_median(figures, workload, phase, 'cpu_ms'):.1f}" for phase in ("single", "burst"))
    batch = f"{_median(figures, workload, 'batch', 'cpu_ms'):.1f}" if (workload, "batch") in figures[0].phases else ""
    per_s = _median(figures, workload, "burst", "per_s")
    latency = " / ".join(f"{_median(figures, workload, 'steady', key):.2f}" for key in ("p50_ms", "p99_ms"))
    idle = ", ".join(f"{kb:.1f}" for figure in figures for kb in figure.idle_kb.values())
    wrong = ", ".join(
        str(sum(figure.wrong.get(key, 0) for figure in figures)) for key in ("lost", "doubled", "reordered", "closed")
    )
    return f"| {name} | {workload} | {per_s:,.0f} | {single} | {burst} | {batch} | {latency} | {idle} | {wrong} |"


def _goals(found: Found) -> Iterable[str]:
    ours, floor = found.get("ours"), found.get("floor")
    if not ours or not floor:
        return
    for workload in NAMES:
        base = _median(floor, workload, "single", "cpu_ms")
        for phase, goal in (("single", 1.4), ("burst", 0.5), ("batch", 0.5)):
            ratio = _median(ours, workload, phase, "cpu_ms") / base
            yield _goal(f"{workload}, {PHASES[phase]}: ours / the floor's single write", ratio, goal)
    for kb in ours[0].idle_kb.items():
        yield _goal(f"kB per idle connection, {kb[0]} of them", kb[1], 15)
    for count, worst_ms in ours[0].worst_ms.items():
        yield _goal(f"ms that the loop was blocked at most while {count} connected", worst_ms, 50)


def _goal(what: str, value: float, goal: float) -> str:
    return f"* {what}: **{value:.2f}**, goal {goal:g}: {'holds' if value <= goal else 'DOES NOT HOLD'}"


def _median(figures: list[Figures], workload: str, phase: str, key: str) -> float:
    return median(figure.phases[workload, phase][key] for figure in figures)
