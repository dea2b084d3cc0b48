"""The sink that the environment asks for."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from streamsink.core.errors import SettingsError
from streamsink.core.runtime import Runtime
from streamsink.core.secrets import RING_EXPECTED, SecretRing
from streamsink.plugins import BackendContext, create_plugin_manager, find_backend, load_settings, timelines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamsink.core.settings import Settings
    from streamsink.core.sink import StreamSink

__all__ = ["open_sink", "with_secret"]


def open_sink(
    settings: Settings | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    runtime: Runtime | None = None,
) -> StreamSink:
    """A sink for the running event loop; close it, or use it as an async context manager.

    Args:
        settings: None: from ``environ``.
        environ: also where the backend's own settings are read from.

    Raises:
        SettingsError: a setting is missing or wrong.
        BackendError: the backend is not installed.
        MissingExtraError: something that the backend needs is not installed.
    """
    manager = create_plugin_manager()
    settings = with_secret(settings or load_settings(environ, manager))
    context = BackendContext(
        settings=settings, environ=environ, runtime=runtime or Runtime(), timelines=timelines(manager)
    )
    return find_backend(manager, settings.backend).make(context)


def with_secret(settings: Settings) -> Settings:
    """The settings with a secret: one process that shares with nobody may invent its own.

    Raises:
        SettingsError: there is none, and others must know it too.
    """
    if settings.secret is not None:
        return settings
    if not find_backend(create_plugin_manager(), settings.backend).one_process:
        raise SettingsError("STREAM_SECRET", RING_EXPECTED)
    return settings.with_secret(SecretRing.generate(secrets.token_bytes))
