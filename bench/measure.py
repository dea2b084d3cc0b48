"""One system, once: start it, load it, ask what happened."""

from __future__ import annotations

import json
import socket
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import feed
from bench.gateways import auth
from bench.processes import GATEWAY_CORE, OTHER_CORE, Process, python

if TYPE_CHECKING:
    from bench.systems import System
    from bench.workloads import Workload

BURST = 4
DRAIN_S = 15.0


@dataclass
class Figures:
    """What was seen of one system in one round."""

    idle_kb: dict[int, float] = field(default_factory=dict)
    worst_ms: dict[int, float] = field(default_factory=dict)
    phases: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    wrong: dict[str, int] = field(default_factory=dict)


class Session:
    """A running system with its load generator and its publisher."""

    def __init__(self, system: System, stack: ExitStack, redis: int, counter: str) -> None:
        command = [part.replace("{redis}", str(redis)) for part in system.command]
        self.system = system
        self.gateway = stack.enter_context(Process(command, GATEWAY_CORE))
        ports = self.gateway.read(30)
        self.port, self.feed = ports["port"], ports.get("feed", 0)
        self.load = stack.enter_context(Process(python("bench.load", counter), OTHER_CORE))
        arguments = (counter, str(redis if system.needs_redis else self.feed))
        self.publisher = stack.enter_context(Process(python("bench.publisher", *arguments), OTHER_CORE))
        self._auth = auth.token(self.port) if system.is_ours else ""
        self.figures = Figures()
        self._published = 0

    def idle(self, counts: list[int]) -> None:
        """Memory per connection that does nothing, and how long the loop was blocked while they connected."""
        self._connect(idle=100)
        self._stats()
        before, connected = self.gateway.resident_bytes(), 0
        for count in counts:
            self._connect(idle=count - connected)
            connected = count
            if self.feed:
                self.figures.worst_ms[count] = self._stats()["worst_ms"]
            time.sleep(0.3)
            self.figures.idle_kb[count] = (self.gateway.resident_bytes() - before) / count / 1000
        self.load.ask("disconnect")

    def run(self, workload: Workload, steady_s: float) -> None:
        """All phases of one workload."""
        groups, members = workload.names(), workload.members
        common: dict[str, Any] = {"groups": groups, "members": members}
        self.begin(groups, members, self.system.outlet)
        warm = max(BURST * workload.groups, workload.events // 10)
        self.phase(workload, "warm-up", do="saturate", events=warm, burst=1, **common)
        self.phase(workload, "single", do="saturate", events=workload.events, burst=1, **common)
        self.phase(workload, "burst", do="saturate", events=workload.events * 2, burst=BURST, **common)
        if self.system.is_ours:
            self.phase(
                workload, "batch", do="saturate", events=workload.events * 2, burst=BURST, batched=True, **common
            )
        self.phase(workload, "steady", do="steady", groups=groups, rate=workload.rate, seconds=steady_s)
        if self.system.store is not None:
            groups = common["groups"] = [f"{group}-stored" for group in groups]
            self.load.ask("disconnect")
            self.begin(groups, members, self.system.store)
            self.phase(workload, "stored", do="saturate", events=workload.events // 2, burst=1, **common)
            self.phase(workload, "stored steady", do="steady", groups=groups, rate=workload.rate, seconds=steady_s)
        self.load.ask("disconnect")

    def begin(self, groups: list[str], members: int, outlet: str) -> None:
        """Connect clients to groups, which are published to through an outlet."""
        self.load.ask("reset")
        self._published = 0
        self._connect(groups=groups, members=members)
        self.publisher.ask("begin", groups=groups, outlet=outlet)

    def _connect(self, *, groups: list[str] | None = None, members: int = 0, idle: int = 0) -> None:
        self.load.ask(
            "connect",
            port=self.port,
            kind=self.system.client,
            groups=groups or [],
            members=members,
            idle=idle,
            auth=self._auth,
            feed_port=self.feed,
        )

    def phase(self, workload: Workload, name: str, *, do: str, **arguments: Any) -> None:
        """Have something published, and note what was seen of it."""
        self.load.ask("result", expected=0, timeout_s=0.0, latencies=do == "steady")
        before = self.gateway.cpu_s()
        published = self.publisher.ask(do, **arguments)
        self._published += published["events"]
        result = self.load.ask("result", expected=self._published * workload.members, timeout_s=DRAIN_S)
        delivered = published["events"] * workload.members
        latencies = result["latencies"] or [0]
        self.figures.phases[workload.name, name] = {
            "per_s": delivered / (result["at"] - published["began"]),
            "cpu_ms": (self.gateway.cpu_s() - before) * 1e6 / delivered,
            "p50_ms": latencies[len(latencies) // 2] / 1e6,
            "p99_ms": latencies[len(latencies) * 99 // 100] / 1e6,
        }
        self.figures.wrong = {
            what: max(self.figures.wrong.get(what, 0), result[what])
            for what in ("lost", "doubled", "reordered", "closed")
        }

    def _stats(self) -> dict[str, Any]:
        if not self.feed:
            return {}
        with socket.create_connection(("127.0.0.1", self.feed)) as connection:
            connection.sendall(feed.message([feed.record(feed.STATS)]))
            found: dict[str, Any] = json.loads(connection.recv(65_536))
        return found


def measure(system: System, workloads: list[Workload], *, idle: list[int], steady_s: float, redis: int) -> Figures:
    """Everything about one system, once."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        session = Session(system, stack, redis, str(folder / "delivered"))
        if idle:
            session.idle(idle)
        for workload in workloads:
            session.run(workload.scaled(system.factor), steady_s)
        return session.figures
