"""The Functions host is held to the contract of the HTTP API, by the same checks as the ASGI host."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from streamsink.testing.valkey import ValkeyServer
from tests.hosts import contract_control, contract_queues, contract_threads
from tests.hosts.contract_checking import name_of
from tests.hosts.http_contract import HTTP_CONTRACT

from .support import on_agent_loop, running_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hosts.contract_checking import Check

# What depends on where runs and sessions are kept.
KEPT = (*contract_threads.CHECKS, *contract_queues.CHECKS, *contract_control.CHECKS)


@pytest.mark.parametrize("check", HTTP_CONTRACT, ids=name_of)
@on_agent_loop
async def test_functions(check: Check) -> None:
    await check(running_site)


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@pytest.mark.service
@pytest.mark.parametrize("check", KEPT, ids=name_of)
def test_functions_with_redis(check: Check, valkey: ValkeyServer) -> None:
    """The deployment of several workers: Redis has the history."""
    environ = {"STREAM_HISTORY": "redis", "STREAM_REDIS_URL": valkey.url}

    @on_agent_loop
    async def run() -> None:
        await check(partial(running_site, environ=environ))

    run()
