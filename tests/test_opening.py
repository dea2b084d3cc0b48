from __future__ import annotations

import os
import re

import pytest

import streamsink.opening as opening
from streamsink.core.errors import BackendError, SettingsError
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings
from streamsink.opening import open_sink, with_secret
from streamsink.plugins import BackendSpec, create_plugin_manager, hookimpl
from streamsink.testing.clock import virtual_runtime

RING = SecretRing.parse("s" * 32)


class Shared:
    """A backend that several processes share."""

    @hookimpl
    def streamsink_backends(self) -> list[BackendSpec]:
        return [BackendSpec(name="shared", factory=lambda context, own: pytest.fail("was made"))]


async def test_nothing_set_is_the_memory_backend() -> None:
    async with open_sink(environ={}) as sink, sink.run("t") as run:
        run.text("hello")

    assert run.terminal is not None
    assert re.fullmatch(r"[0-9a-f]{32}", run.correlation_id)


async def test_the_environment_is_the_processes_own_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("STREAM_")]:
        monkeypatch.delenv(name)

    async with open_sink() as sink:
        await sink.check()


async def test_environment_and_runtime_are_used() -> None:
    runtime = virtual_runtime()
    async with open_sink(environ={"STREAM_WINDOW_MS": "70", "STREAM_SECRET": "s" * 32}, runtime=runtime) as sink:
        assert sink.options.window_s == 0.07
        assert sink.runtime is runtime


async def test_settings_that_are_given_win_and_the_plugins_own_are_still_read() -> None:
    async with open_sink(Settings(window_ms=80), environ={"STREAM_HISTORY_EVENTS": "100"}) as sink:
        assert sink.options.window_s == 0.08
    with pytest.raises(SettingsError, match="STREAM_HISTORY_EVENTS"):
        open_sink(Settings(), environ={"STREAM_HISTORY_EVENTS": "1"})


def test_what_is_wrong_is_refused() -> None:
    with pytest.raises(SettingsError, match="STREAM_NONSENSE"):
        open_sink(environ={"STREAM_NONSENSE": "1"})
    with pytest.raises(BackendError, match="nonsense"):
        open_sink(environ={"STREAM_BACKEND": "nonsense", "STREAM_SECRET": "s" * 32})


def test_one_process_invents_its_secret() -> None:
    first, second = with_secret(Settings()), with_secret(Settings())

    assert first.secret is not None
    assert first.secret != second.secret
    assert with_secret(Settings(secret=RING)).secret is RING


def test_several_processes_must_be_told_their_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "create_plugin_manager", lambda: create_plugin_manager([Shared()]))

    with pytest.raises(SettingsError, match="STREAM_SECRET"):
        with_secret(Settings(backend="shared"))
