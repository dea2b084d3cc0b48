from __future__ import annotations

import builtins
from typing import Any

import pytest

from streamsink.backends.memory import plugin
from streamsink.backends.memory.settings import MemorySettings
from streamsink.backends.memory.timeline import MemoryTimeline
from streamsink.core.delivery import ListsMembers, ServesClients, Subscribes
from streamsink.core.errors import MissingExtraError, SettingsError
from streamsink.core.measures import Measures
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings
from streamsink.plugins import BackendContext

RING = SecretRing.parse("s" * 32)


def context(*, environ: dict[str, str] | None = None, **settings: Any) -> BackendContext:
    known = {spec.name: spec for spec in plugin.streamsink_timelines()}
    return BackendContext(settings=Settings(secret=RING, **settings), environ=environ or {}, timelines=known)


async def test_the_backend_has_the_abilities_that_it_names() -> None:
    (spec,) = plugin.streamsink_backends()

    async with spec.make(context(window_ms=50, history="memory")) as sink:
        assert (spec.name, spec.one_process) == ("memory", True)
        assert all(sink.ability(ability) is not None for ability in spec.abilities)
        assert spec.abilities == {ListsMembers, Measures, ServesClients, Subscribes}
        assert sink.options.window_s == 0.05


async def test_the_timeline_can_be_had_by_itself() -> None:
    (spec,) = plugin.streamsink_timelines()

    timeline = spec.make(context(environ={"STREAM_HISTORY_EVENTS": "100"}))

    assert isinstance(timeline, MemoryTimeline)
    assert spec.settings is MemorySettings


@pytest.mark.parametrize("history", ["redis", "none"])
async def test_a_history_that_is_not_installed_is_refused(history: str) -> None:
    (spec,) = plugin.streamsink_backends()

    with pytest.raises(SettingsError, match="STREAM_HISTORY"):
        spec.make(context(history=history))


async def test_what_is_not_installed_is_said_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    (spec,) = plugin.streamsink_backends()
    real_import = builtins.__import__

    def without_gateway(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "streamsink.backends.gateway.factory":
            raise ModuleNotFoundError("No module named 'starlette'")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_gateway)

    with pytest.raises(MissingExtraError, match=r"streamsink\[asgi\]"):
        spec.make(context())
