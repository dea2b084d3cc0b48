"""A gateway behind a real server, for the tests that need one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .server import PATHS, Path, Server, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> Path:
    """The ways of clients' WebSockets: through ASGI, and on raw sockets."""
    found: Path = request.param
    return found


@pytest.fixture
async def server(path: Path) -> AsyncIterator[Server]:
    async with serving(path=path) as running:
        yield running
