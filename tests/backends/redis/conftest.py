"""One Valkey for all tests that do not break it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from streamsink.testing.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator

# The wheel's server was built without TLS, so these need one that is named: CONTRIBUTING.md says how.
collect_ignore = [] if os.environ.get("STREAMSINK_TEST_REDIS") else ["test_tls.py"]


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """A running server. Tests keep apart by the prefixes of their keys."""
    with ValkeyServer() as server:
        yield server
