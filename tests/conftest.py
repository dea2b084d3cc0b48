"""Guards for the whole run: no task is left behind, nothing in the package blocks the event loop."""

from __future__ import annotations

import inspect
import os
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

from streamsink.testing.clock import without_leaks

if TYPE_CHECKING:
    from collections.abc import Iterator

# The same examples in every run, however slow the machine; `--hypothesis-profile default` looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

# Start-up reads files: plugins are found by their metadata, agents by their modules, scripts on their first import.
# And whoever measures coverage has a lock of his own, which threads share.
_MAY_BLOCK = (
    ("streamsink/plugins.py", {"create_plugin_manager"}),
    ("streamsink/hosts/page.py", {"__init__"}),
    ("streamsink/backends/redis/scripts.py", {"<module>"}),
    ("importlib/metadata/__init__.py", {"version"}),
    ("coverage/collector.py", {"lock_data"}),
)


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """``STREAMSINK_TEST_LOOP=uvloop``: run on the loop of ``streamsink[fast]``."""
    name = os.environ.get("STREAMSINK_TEST_LOOP", "asyncio")
    return {name: import_module(name).new_event_loop}


@pytest.fixture(autouse=True)
def _no_blocking() -> Iterator[BlockBuster]:
    with blockbuster_ctx("streamsink", excluded_modules=["streamsink.testing"]) as guard:
        for function in guard.functions.values():
            for file, names in _MAY_BLOCK:
                function.can_block_in(file, names)
        yield guard


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Fail an asynchronous test that leaves a task behind."""
    if not isinstance(item, pytest.Function) or not inspect.iscoroutinefunction(item.obj):
        return
    test = item.obj

    @wraps(test)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        return await without_leaks(test(*args, **kwargs))

    item.obj = guarded
