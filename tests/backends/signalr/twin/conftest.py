"""A twin on a real port."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

from .support import World, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def site() -> AsyncIterator[World]:
    async with world() as running:
        yield running


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """The clients of a test end with it, before anybody looks for tasks that were left behind."""
    if not isinstance(item, pytest.Function) or "site" not in item.funcargs:
        return
    test, running = item.obj, item.funcargs["site"]
    assert isinstance(running, World)

    @wraps(test)
    async def ending(*args: Any, **kwargs: Any) -> None:
        async with running.clients:
            await test(*args, **kwargs)

    item.obj = ending
