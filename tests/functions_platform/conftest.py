from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.functions_platform import FunctionsPlatform, InProcessWorker
from tests.functions_platform.apps import create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def platform() -> AsyncIterator[FunctionsPlatform]:
    """The plain app in a worker of this process."""
    async with FunctionsPlatform(InProcessWorker(create_app(enable_mcp_tool_trigger=True))) as platform:
        yield platform


@pytest.fixture
async def http(platform: FunctionsPlatform) -> AsyncIterator[httpx.AsyncClient]:
    """A caller who has the function key."""
    headers = {"x-functions-key": platform.function_key}
    async with httpx.AsyncClient(base_url=platform.url, headers=headers, timeout=20) as client:
        yield client
