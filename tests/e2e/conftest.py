"""What the app runs on: one process, or nodes that share a Valkey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamsink.testing.valkey import ValkeyServer
from tests.e2e.world import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """A running server. Tests keep apart by the prefixes of their keys."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture(params=[None, 2, 3], ids=["memory", "two-nodes", "three-nodes"])
def on(request: pytest.FixtureRequest) -> Cluster | None:
    """The memory backend, or so many nodes on Redis."""
    nodes: int | None = request.param
    if nodes is None:
        return None
    server: ValkeyServer = request.getfixturevalue("valkey")
    return Cluster(server.url, nodes)
