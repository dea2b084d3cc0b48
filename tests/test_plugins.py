from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from streamsink.backends.memory.timeline import MemoryTimeline
from streamsink.core.errors import BackendError, SettingsError
from streamsink.core.settings import Settings
from streamsink.core.variables import Range, whole
from streamsink.plugins import (
    BackendContext,
    BackendSpec,
    TimelineSpec,
    backends,
    create_plugin_manager,
    find_backend,
    hookimpl,
    load_settings,
    timelines,
)

if TYPE_CHECKING:
    from streamsink.core.sink import StreamSink


@dataclass(frozen=True)
class Own:
    """A plugin's own settings."""

    size: Annotated[int, whole("STREAM_OTHER_SIZE", Range(1, 9))] = 1


def make(context: BackendContext, own: Own | None) -> StreamSink:
    raise AssertionError(f"made with {own}")


class Other:
    """Somebody's plugin."""

    @hookimpl
    def streamsink_backends(self) -> list[BackendSpec]:
        return [BackendSpec(name="other", factory=make, settings=Own), BackendSpec(name="bare", factory=make)]

    @hookimpl
    def streamsink_timelines(self) -> list[TimelineSpec]:
        return [TimelineSpec(name="other", factory=lambda context, own: MemoryTimeline())]


class Misspelt:
    @hookimpl
    def streamsink_backend(self) -> list[BackendSpec]:
        return []


class WrongArgument:
    @hookimpl
    def streamsink_backends(self, nonsense: int) -> list[BackendSpec]:
        return []


def context(**environ: str) -> BackendContext:
    return BackendContext(settings=Settings(), environ=environ)


def test_ours_are_found_like_anybodys() -> None:
    manager = create_plugin_manager()

    assert "memory" in backends(manager)
    assert "memory" in timelines(manager)


def test_somebody_elses_stand_beside_ours() -> None:
    manager = create_plugin_manager([Other()])

    assert {"memory", "other", "bare"} <= set(backends(manager))
    assert {"memory", "other"} <= set(timelines(manager))
    assert find_backend(manager, "other").settings is Own


def test_without_entry_points_there_are_those_that_were_given() -> None:
    assert set(backends(create_plugin_manager([Other()], entry_points=False))) == {"other", "bare"}


@pytest.mark.parametrize(("kind", "hook"), [("backend", "streamsink_backends"), ("timeline", "streamsink_timelines")])
def test_two_of_one_name_are_refused(kind: str, hook: str) -> None:
    class Twin:
        """Offers one thing that Other offers too."""

    setattr(Twin, hook, getattr(Other, hook))

    with pytest.raises(BackendError, match=f"a {kind} named 'other'"):
        create_plugin_manager([Other(), Twin()])


@pytest.mark.parametrize("plugin", [Misspelt(), WrongArgument()])
def test_a_plugin_that_was_made_wrong_is_refused(plugin: object) -> None:
    with pytest.raises(BackendError, match="a Streamsink plugin is wrong"):
        create_plugin_manager([plugin])


def test_a_backend_that_is_not_there_is_refused_with_those_that_are() -> None:
    manager = create_plugin_manager([Other()], entry_points=False)

    with pytest.raises(BackendError, match="one of bare, other; 'nonsense' is not installed"):
        find_backend(manager, "nonsense")


@pytest.mark.parametrize(
    ("name", "environ", "own"),
    [("other", {"STREAM_OTHER_SIZE": "5"}, Own(5)), ("other", {}, Own(1)), ("bare", {}, None)],
)
def test_a_factory_gets_its_own_settings(name: str, environ: dict[str, str], own: Own | None) -> None:
    spec = find_backend(create_plugin_manager([Other()]), name)

    with pytest.raises(AssertionError) as made:
        spec.make(context(**environ))
    assert str(made.value) == f"made with {own}"


def test_the_variables_of_plugins_are_known() -> None:
    environ: dict[str, Any] = {"STREAM_OTHER_SIZE": "5", "STREAM_HISTORY_EVENTS": "100"}

    assert load_settings(environ, create_plugin_manager([Other()])) == Settings()
    with pytest.raises(SettingsError, match="STREAM_OTHER_SIZE"):
        load_settings(environ, create_plugin_manager())


def test_timelines_are_made_like_backends() -> None:
    manager = create_plugin_manager([Other()])

    assert isinstance(timelines(manager)["other"].make(context()), MemoryTimeline)
