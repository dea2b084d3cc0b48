"""The Functions host is held to the contract of the HTTP API, by the same checks as the ASGI host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hosts.contract_checking import name_of
from tests.hosts.http_contract import HTTP_CONTRACT

from .support import on_agent_loop, running_site

if TYPE_CHECKING:
    from tests.hosts.contract_checking import Check


@pytest.mark.parametrize("check", HTTP_CONTRACT, ids=name_of)
@on_agent_loop
async def test_functions(check: Check) -> None:
    await check(running_site)
