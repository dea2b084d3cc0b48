"""Finding backends and timelines: pluggy, at start-up only.

A plugin is a module or object registered under the entry-point group ``streamsink`` with either hook below; ours
register the same way as anybody's. Factories import what they need when they are called, so that finding a plugin
costs nothing.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pluggy

from streamsink.core.errors import BackendError, SettingsError
from streamsink.core.runtime import Runtime
from streamsink.core.settings import Settings
from streamsink.core.sink import StreamSink
from streamsink.core.timeline import Timeline
from streamsink.core.variables import read, variable_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from streamsink.core.checks import Check

__all__ = [
    "BackendContext",
    "BackendSpec",
    "TimelineSpec",
    "backends",
    "check_workers",
    "create_plugin_manager",
    "find_backend",
    "hookimpl",
    "load_settings",
    "needs_one_process",
    "timelines",
]

_Spec = TypeVar("_Spec", bound="BackendSpec | TimelineSpec")
_Made = TypeVar("_Made")

_NAME = "streamsink"
_SEVERAL = "one that serves several processes, such as `redis`, or start without --workers"
hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker(_NAME)
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker(_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendContext:
    """What a factory is given.

    Args:
        settings: the package's own; ``secret`` is set.
        environ: where the plugin's own settings are read from.
        timelines: those that are installed, by name.
    """

    settings: Settings
    environ: Mapping[str, str]
    runtime: Runtime = field(default_factory=Runtime)
    timelines: Mapping[str, TimelineSpec] = field(default_factory=dict)

    def make_timeline(self, default: str) -> Timeline:
        """The timeline that ``STREAM_HISTORY`` names.

        Raises:
            SettingsError: there is none of that name; says which there are.
            MissingExtraError: something that it needs is not installed.
        """
        name = self.settings.history or default
        if name not in self.timelines:
            names = " or ".join(f"`{each}`" for each in sorted(self.timelines))
            raise SettingsError("STREAM_HISTORY", f"unset, {names}")
        return self.timelines[name].make(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer(Generic[_Made]):
    """A named way to make something.

    Args:
        name: what the environment says.
        factory: makes it, on the event loop that will use it, from the context and from the plugin's own settings.
            Raises MissingExtraError when an optional dependency is not installed, SettingsError when a setting is
            wrong.
        settings: the type of the plugin's own settings (``streamsink.core.variables``), or None.
        one_process: it serves one process only; a deployment of more is refused.
        checks: what ``streamsink doctor`` looks at, given the same as the factory; open while it looks. None: nothing
            but what it looks at on every backend.
    """

    name: str
    factory: Callable[[BackendContext, Any], _Made]
    settings: type[Any] | None = None
    one_process: bool = False
    checks: Callable[[BackendContext, Any], AbstractAsyncContextManager[Sequence[Check]]] | None = None

    def make(self, context: BackendContext) -> _Made:
        """Read the plugin's settings and call its factory."""
        return self.factory(context, self._own(context))

    def open_checks(self, context: BackendContext) -> AbstractAsyncContextManager[Sequence[Check]]:
        """Read the plugin's settings and open its checks.

        Raises:
            SettingsError, MissingExtraError: as its factory, here or on entering.
        """
        return nullcontext(()) if self.checks is None else self.checks(context, self._own(context))

    def _own(self, context: BackendContext) -> Any:
        return None if self.settings is None else read(self.settings, context.environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSpec(_Offer[StreamSink]):
    """A way to make a sink, chosen by ``STREAM_BACKEND``.

    Args:
        abilities: the interfaces that the sink has beside ``StreamSink``, for checks before it is made.
        history: the timeline that it asks for where ``STREAM_HISTORY`` names none; None: it has its own.
        check_workers: given the plugin's own settings, raises SettingsError when processes that share a port, so that
            a client's requests come to any of them, cannot serve these; None: they always can.
    """

    abilities: frozenset[type] = frozenset()
    history: str | None = None
    check_workers: Callable[[Any], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineSpec(_Offer[Timeline]):
    """A place for timelines by itself, chosen by ``STREAM_HISTORY``."""


class Hooks:
    """What a plugin may implement."""

    @hookspec
    def streamsink_backends(self) -> Sequence[BackendSpec]:  # type: ignore[empty-body]
        """The backends that this plugin offers."""

    @hookspec
    def streamsink_timelines(self) -> Sequence[TimelineSpec]:  # type: ignore[empty-body]
        """The timelines that this plugin offers."""


def create_plugin_manager(plugins: Iterable[object] = (), *, entry_points: bool = True) -> pluggy.PluginManager:
    """A plugin manager with every installed plugin, and ``plugins`` beside them.

    Raises:
        BackendError: a plugin implements a hook that does not exist or asks it for arguments that it does not give,
            or two of them offer the same name.
    """
    manager = pluggy.PluginManager(_NAME)
    manager.add_hookspecs(Hooks)
    try:
        if entry_points:
            manager.load_setuptools_entrypoints(_NAME)
        for plugin in plugins:
            manager.register(plugin)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise BackendError(f"a Streamsink plugin is wrong: {error}") from error
    backends(manager)
    timelines(manager)
    return manager


def backends(manager: pluggy.PluginManager) -> dict[str, BackendSpec]:
    """The backends by name."""
    return _by_name(manager.hook.streamsink_backends(), "backend")


def timelines(manager: pluggy.PluginManager) -> dict[str, TimelineSpec]:
    """The timelines by name."""
    return _by_name(manager.hook.streamsink_timelines(), "timeline")


def _by_name(offers: Iterable[Sequence[_Spec]], kind: str) -> dict[str, _Spec]:
    found: dict[str, _Spec] = {}
    for spec in (spec for offer in offers for spec in offer):
        if spec.name in found:
            raise BackendError(f"two plugins offer a {kind} named {spec.name!r}; uninstall one of them")
        found[spec.name] = spec
    return found


def find_backend(manager: pluggy.PluginManager, name: str) -> BackendSpec:
    """The backend of that name.

    Raises:
        BackendError: there is none; says which there are.
    """
    found = backends(manager)
    if name not in found:
        raise BackendError(f"STREAM_BACKEND should be one of {', '.join(sorted(found))}; {name!r} is not installed")
    return found[name]


def needs_one_process(manager: pluggy.PluginManager, settings: Settings) -> str | None:
    """The variable whose value serves one process only; None: there may be several.

    Raises:
        BackendError: the backend is not installed.
    """
    backend = find_backend(manager, settings.backend)
    if backend.one_process:
        return "STREAM_BACKEND"
    history = timelines(manager).get(settings.history or backend.history or "")
    return "STREAM_HISTORY" if history is not None and history.one_process else None


def check_workers(manager: pluggy.PluginManager, settings: Settings, environ: Mapping[str, str]) -> None:
    """Make sure that several processes may share a port.

    Raises:
        BackendError: the backend is not installed.
        SettingsError: a setting serves one process only, or is wrong or missing.
    """
    variable = needs_one_process(manager, settings)
    if variable is not None:
        raise SettingsError(variable, _SEVERAL)
    backend = find_backend(manager, settings.backend)
    if backend.settings is not None:
        own = read(backend.settings, environ)  # a wrong variable is told now, and not by each worker
        if backend.check_workers is not None:
            backend.check_workers(own)


def load_settings(environ: Mapping[str, str], manager: pluggy.PluginManager) -> Settings:
    """The package's settings; the variables of the installed plugins are known too.

    Raises:
        SettingsError: a variable is wrong or unknown.
    """
    offers: list[_Offer[Any]] = [*backends(manager).values(), *timelines(manager).values()]
    known = {name for offer in offers if offer.settings is not None for name in variable_names(offer.settings)}
    return Settings.from_environ(environ, also_known=known)
