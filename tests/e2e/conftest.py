"""Where tests run the app: one process, nodes that share a Valkey, and those whose clients Azure holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from streamsink.backends.signalr.twin import Faults
from streamsink.testing.valkey import ValkeyServer
from tests.e2e.places import Alone, Azure, Cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.places import Place


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """A running server. Tests keep apart by the prefixes of their keys."""
    with ValkeyServer() as server:
        yield server


def _slow_joins() -> Faults:
    """Where nothing is kept, nothing may be said before somebody hears it."""
    faults = Faults()
    faults.inject("join", delay_s=_JOIN_S)
    return faults


_JOIN_S: Final = 0.3
_PLACES: Final[dict[str, Callable[[str], Place]]] = {
    "memory": lambda redis_url: Alone(),
    "memory-none": lambda redis_url: Alone(history="none"),
    "two-nodes": lambda redis_url: Cluster(redis_url, 2),
    "three-nodes": lambda redis_url: Cluster(redis_url, 3),
    "signalr": lambda redis_url: Azure(redis=Cluster(redis_url, 2)),
    "signalr-memory": lambda redis_url: Azure(),
    "signalr-none": lambda redis_url: Azure(history="none", faults=_slow_joins()),
}


@pytest.fixture(params=["memory", "two-nodes", "three-nodes", "signalr"])
def on(request: pytest.FixtureRequest, valkey: ValkeyServer) -> Place:
    """Every backend; or those that a test names: ``parametrize("on", [...], indirect=True)``."""
    return _PLACES[request.param](valkey.url)
