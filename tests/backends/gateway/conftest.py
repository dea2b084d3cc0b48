"""A gateway behind a real server, for the tests that need one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .server import Server, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running
