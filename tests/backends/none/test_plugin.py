"""How the history ``none`` is found, and which backends take it."""

from __future__ import annotations

import pytest

from streamsink.backends.none import plugin
from streamsink.backends.none.timeline import NoTimeline
from streamsink.core.errors import SettingsError
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings
from streamsink.opening import open_sink
from streamsink.plugins import BackendContext, backends, create_plugin_manager, timelines


def test_it_is_a_timeline_and_no_backend() -> None:
    manager = create_plugin_manager()

    assert "none" in timelines(manager)
    assert "none" not in backends(manager)


async def test_the_timeline_can_be_had_by_itself() -> None:
    (spec,) = plugin.streamsink_timelines()

    assert isinstance(spec.make(BackendContext(settings=Settings(), environ={})), NoTimeline)


async def test_the_memory_backend_takes_it() -> None:
    async with open_sink(environ={"STREAM_HISTORY": "none"}) as sink:
        assert not sink.keeps_history
        await sink.check()
    async with open_sink(environ={}) as sink:
        assert sink.keeps_history


async def test_the_redis_backend_refuses_it() -> None:
    """Its timeline is its delivery."""
    settings = Settings(backend="redis", history="none", secret=SecretRing.parse("s" * 32))

    with pytest.raises(SettingsError, match="STREAM_HISTORY"):
        open_sink(settings, environ={})
