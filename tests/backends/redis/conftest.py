"""One Valkey for all tests that do not break it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamsink.testing.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """A running server. Tests keep apart by the prefixes of their keys."""
    with ValkeyServer() as server:
        yield server
