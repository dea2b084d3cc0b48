"""What the app runs on: who holds its clients, who keeps its timelines, and how many nodes it has."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TypeAlias

from streamsink.backends.signalr.twin import Faults

__all__ = ["Alone", "Azure", "Cluster", "Place"]


@dataclass(frozen=True, slots=True)
class Alone:
    """One node on the memory backend.

    Args:
        history: who keeps its timelines; None: the backend.
    """

    history: str | None = None
    nodes: int = 1

    @property
    def environ(self) -> dict[str, str]:
        """What the app's environment says."""
        return {"STREAM_BACKEND": "memory", **({} if self.history is None else {"STREAM_HISTORY": self.history})}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Several nodes on one Redis."""

    redis_url: str
    nodes: int
    prefix: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:12]}")

    @property
    def environ(self) -> dict[str, str]:
        """What the environment of its nodes says."""
        return {"STREAM_BACKEND": "redis", "STREAM_REDIS_URL": self.redis_url, "STREAM_REDIS_PREFIX": self.prefix}


@dataclass(frozen=True, slots=True)
class Azure:
    """Clients are held by a local Azure SignalR Service.

    Args:
        history: who keeps the timelines of one node; nobody looks at it where there is a Redis.
        redis: keeps them for so many nodes.
        faults: of the service.
    """

    history: str = "memory"
    redis: Cluster | None = None
    faults: Faults = field(default_factory=Faults)

    @property
    def nodes(self) -> int:
        """How many there are."""
        return 1 if self.redis is None else self.redis.nodes

    @property
    def environ(self) -> dict[str, str]:
        """What the environment of its nodes says, but for the service."""
        kept = {"STREAM_HISTORY": self.history} if self.redis is None else {**self.redis.environ, **_IN_REDIS}
        return {**kept, "STREAM_BACKEND": "signalr"}


_IN_REDIS = {"STREAM_HISTORY": "redis"}

Place: TypeAlias = Alone | Cluster | Azure
