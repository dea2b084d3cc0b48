"""What is compared."""

from __future__ import annotations

from dataclasses import dataclass

from bench.processes import ROOT, python


@dataclass(frozen=True)
class System:
    """Args:
    name: as the table shows it.
    command: of the gateway's process; ``{redis}`` is Valkey's port.
    client: how its clients greet (``clients``).
    outlet: how it is published to (``outlets``).
    store: the outlet that appends, where that is another one.
    factor: how much of a workload's events suffice, the slower the fewer.
    """

    name: str
    command: list[str]
    client: str
    outlet: str
    store: str | None = None
    factor: float = 1.0

    @property
    def needs_redis(self) -> bool:
        return any("{redis}" in part for part in self.command)

    @property
    def is_ours(self) -> bool:
        return self.client == "signalr"


SYSTEMS = (
    System("floor", python("bench.gateways.floor"), "floor", "floor"),
    System("ours", python("bench.gateways.ours", "sockets"), "signalr", "feed"),
    System("ours, plain ASGI", python("bench.gateways.ours", "asgi"), "signalr", "feed", factor=0.5),
    System("floor, redis", python("bench.gateways.floor_redis", "{redis}"), "floor_redis", "redis", "store"),
    System("ours, redis", python("bench.gateways.ours_redis", "{redis}"), "signalr", "redis", "store"),
    System(
        "socket.io (Node), Redis adapter",
        ["node", str(ROOT / "bench" / "gateways" / "socketio_node.mjs"), "{redis}"],
        "socketio",
        "socketio_node",
        factor=0.5,
    ),
    System(
        "python-socketio, Redis manager",
        python("bench.gateways.socketio_python", "{redis}"),
        "socketio",
        "socketio_python",
        factor=0.1,
    ),
    System(
        "Django Channels, channels_redis",
        python("bench.gateways.channels_redis", "{redis}"),
        "channels",
        "channels",
        factor=0.04,
    ),
)
