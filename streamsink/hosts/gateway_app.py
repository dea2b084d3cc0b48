"""The client side alone: for hosts that run elsewhere, such as Azure Functions that publish to Redis."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from streamsink.core.delivery import ServesClients
from streamsink.core.errors import SettingsError
from streamsink.core.limits import RateLimiter
from streamsink.core.origins import Origins
from streamsink.hosts.api import Api
from streamsink.hosts.identity.service_key import ServiceKeyIdentity
from streamsink.hosts.metrics_calls import MetricsCalls
from streamsink.hosts.shell import Shell
from streamsink.hosts.status_calls import StatusCalls
from streamsink.hosts.sweeping import sweeping
from streamsink.opening import open_sink, with_secret
from streamsink.plugins import create_plugin_manager, find_backend, load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamsink.core.settings import Settings
    from streamsink.core.sink import StreamSink

__all__ = ["ClientGateway"]


class ClientGateway(Shell):
    """An ASGI application that serves ``/client…``, ``/api/health``, ``/api/ready`` and ``/api/metrics``, and runs
    nothing.

    Args:
        settings: None: from the environment.

    Raises:
        SettingsError: a setting is missing or wrong, or clients of the backend do not connect to such a process.
    """

    def __init__(self, *, settings: Settings | None = None) -> None:
        manager = create_plugin_manager()
        settings = settings or load_settings(os.environ, manager)
        spec = find_backend(manager, settings.backend)
        if spec.one_process or ServesClients not in spec.abilities:
            expected = f"one whose clients connect to gateways, such as `redis`; those of {spec.name!r} do not"
            raise SettingsError("STREAM_BACKEND", expected)
        super().__init__(with_secret(settings))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[StreamSink]:
        """Serve while inside; gives the sink. Leaving tells clients to reconnect."""
        async with open_sink(self._settings) as sink, sweeping(sink):
            clients = sink.ability(ServesClients)

            async def drain(runs_s: float) -> None:
                if clients is not None:
                    await clients.drain()

            async with self._serving(sink, self._api(sink), drain):
                yield sink

    def _api(self, sink: StreamSink) -> Api:
        return Api(
            [*StatusCalls(sink).routes(), *MetricsCalls(sink).routes()],
            identify=ServiceKeyIdentity(self._settings.auth.service_keys),
            origins=Origins(self._settings.allowed_origins),
            limiter=RateLimiter(self._settings.limits.requests_per_minute, time.monotonic),
        )
