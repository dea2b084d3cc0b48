"""The loads: how many groups of how many members, and how much is published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """``groups`` of ``members`` connections each; ``events`` published in a phase (for a system that is not slow).

    Args:
        rate: events per second in the phase at a fixed load.
    """

    name: str
    groups: int
    members: int
    events: int
    rate: int

    def names(self) -> list[str]:
        return [f"{self.name}-{number}" for number in range(self.groups)]

    def scaled(self, factor: float) -> Workload:
        """The same load with less of it, for slow systems and quick runs."""

        return Workload(self.name, self.groups, self.members, max(8, int(self.events * factor)), self.rate)


WORKLOADS = (
    Workload("W1", 500, 1, 60_000, 2_000),
    Workload("W2", 1, 500, 400, 5),
    Workload("W3", 100, 5, 20_000, 400),
)
