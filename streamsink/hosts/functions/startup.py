"""What is refused when the app is made, and not at a user's first message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.core.delivery import ServesClients
from streamsink.core.errors import SettingsError
from streamsink.core.variables import read, variable_names
from streamsink.opening import with_secret
from streamsink.plugins import (
    backends,
    create_plugin_manager,
    find_backend,
    load_settings,
    needs_one_process,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pluggy

    from streamsink.core.settings import Settings

__all__ = ["may_have_several_workers", "prepared"]

# Set on Azure, where the platform adds workers as it likes.
_ON_AZURE = ("WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME")
_WORKERS = "FUNCTIONS_WORKER_PROCESS_COUNT"
_GATEWAY = "STREAM_GATEWAY_URL"


def prepared(settings: Settings | None, environ: Mapping[str, str]) -> Settings:
    """The settings, with what they ask for possible here.

    Raises:
        SettingsError, BackendError: it is not; says what to do.
    """
    manager = create_plugin_manager()
    settings = settings or load_settings(environ, manager)
    spec = find_backend(manager, settings.backend)
    if spec.one_process:
        raise SettingsError("STREAM_BACKEND", _expected_backend(manager, settings.backend, environ))
    if spec.settings is not None:
        read(spec.settings, environ)  # a wrong variable is told now
    if ServesClients in spec.abilities and not environ.get(_GATEWAY):
        raise SettingsError(
            _GATEWAY, f"set: with `{spec.name}` browsers connect to a `streamsink gateway`, and not to Azure Functions"
        )
    if may_have_several_workers(environ) and needs_one_process(manager, settings) is not None:
        raise SettingsError(
            "STREAM_HISTORY", "`redis`, which every worker can reach; or `none`, where nobody needs to read again"
        )
    return with_secret(settings)


def _expected_backend(manager: pluggy.PluginManager, name: str, environ: Mapping[str, str]) -> str:
    why = f"browsers cannot connect to Azure Functions, so `{name}` (what it is where nothing is said) reaches none"
    meant = {}
    for other, spec in sorted(backends(manager).items()):
        found = environ.keys() & (variable_names(spec.settings) if spec.settings is not None else frozenset())
        if other != name and found:
            meant[f"`{other}`"] = f"{min(found)} is set"
    if not meant:
        return f"`signalr`, or `redis` with a `streamsink gateway` elsewhere: {why}"
    return f"{' or '.join(meant)} ({' and '.join(meant.values())}): {why}"


def may_have_several_workers(environ: Mapping[str, str]) -> bool:
    """Whether another process may execute what this one accepts."""
    return any(environ.get(name) for name in _ON_AZURE) or environ.get(_WORKERS, "1").strip() not in ("", "1")
