"""The ASGI host is held to the contract of the HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamsink.testing.clock import virtual_time

from .contract_checking import name_of
from .contract_shapes import assert_unknown
from .http_contract import HTTP_CONTRACT
from .support import running_site

if TYPE_CHECKING:
    from .contract_checking import Check


@pytest.mark.parametrize("check", HTTP_CONTRACT, ids=name_of)
@virtual_time
async def test_asgi(check: Check) -> None:
    await check(running_site)


@virtual_time
async def test_asgi_answers_every_path() -> None:
    """Where a platform routes, what is outside of ours is its own."""
    async with running_site() as site:
        await assert_unknown(site, "/", "/api", "/api/", "/api/health/", "/x")
