"""Puts the parts of a host together: sink, agents, identity, routes; and takes them apart again."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from streamsink.core.access import OwnerOnly
from streamsink.core.delivery import ServesClients
from streamsink.core.limits import RateLimiter
from streamsink.core.origins import Origins
from streamsink.core.thread_ids import ThreadIds
from streamsink.hosts.api import Api, Services
from streamsink.hosts.identity import from_settings
from streamsink.hosts.metrics_calls import MetricsCalls
from streamsink.hosts.page import Page
from streamsink.hosts.page_calls import PageCalls
from streamsink.hosts.run_calls import RunCalls
from streamsink.hosts.status_calls import StatusCalls
from streamsink.hosts.sweeping import sweeping
from streamsink.hosts.thread_calls import ThreadCalls
from streamsink.opening import open_sink, with_secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from streamsink.core.identity import Authorize, Identify, Request
    from streamsink.core.secrets import SecretRing
    from streamsink.core.settings import Settings
    from streamsink.core.sink import StreamSink
    from streamsink.hosts.agent_host import AgentHost

__all__ = ["Assembly", "Nature", "assemble"]

_Host = TypeVar("_Host", bound="AgentHost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nature:
    """How a host differs from one that runs agents in its own process; see :class:`~streamsink.hosts.api.Services`."""

    redelivery_s: float = 0.0
    ordered: bool = True
    streams: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly(Generic[_Host]):
    """A host's parts, running."""

    sink: StreamSink
    host: _Host
    api: Api
    identify: Identify

    async def drain(self, drain_s: float) -> None:
        """Let runs end, or end them visibly; then tell clients to reconnect."""
        await self.host.aclose(drain_s=drain_s)
        clients = self.sink.ability(ServesClients)
        if clients is not None:
            await clients.drain()


@asynccontextmanager
async def assemble(
    settings: Settings,
    *,
    make_host: Callable[[StreamSink], _Host],
    nature: Nature | None = None,
    identify: Identify | None = None,
    authorize: Authorize | None = None,
    sink: StreamSink | None = None,
    is_secure: Callable[[Request], bool] | None = None,
) -> AsyncIterator[Assembly[_Host]]:
    """The parts that the settings ask for; closed on leaving, but for a ``sink`` that was passed in.

    Args:
        is_secure: whether a request came over https, where the host can tell and no public URL says.

    Raises:
        StreamSinkError: the settings cannot be met.
    """
    settings = with_secret(settings)
    owned = sink is None
    sink = sink or open_sink(settings)
    try:
        host = make_host(sink)
        identify = identify or _identity(settings, is_secure)
        async with sweeping(sink):
            services = _services(settings, sink, host, nature or Nature(), authorize)
            api = _api(settings, services, identify)
            yield Assembly(sink=sink, host=host, api=api, identify=identify)
    finally:
        if owned:
            await sink.aclose()


def _identity(settings: Settings, is_secure: Callable[[Request], bool] | None) -> Identify:
    return from_settings(
        settings,
        _ring(settings),
        clock=time.time,
        random=secrets.token_bytes,
        environ=os.environ,
        is_secure=None if settings.public_url is not None else is_secure,
    )


def _ring(settings: Settings) -> SecretRing:
    return cast("SecretRing", settings.secret)  # with_secret has seen to it


def _services(
    settings: Settings, sink: StreamSink, host: AgentHost, nature: Nature, authorize: Authorize | None
) -> Services:
    thread_ids = ThreadIds(_ring(settings), secrets.token_bytes)
    return Services(
        sink=sink,
        host=host,
        thread_ids=thread_ids,
        authorize=authorize or OwnerOnly(thread_ids, sink.owner),
        wait_s=settings.times.wait_s,
        max_prompt_chars=settings.limits.max_prompt_chars,
        queue_limit=settings.limits.queue_limit,
        queue_timeout_s=settings.times.queue_timeout_s,
        redelivery_s=nature.redelivery_s,
        ordered=nature.ordered,
        streams=nature.streams,
    )


def _api(settings: Settings, services: Services, identify: Identify) -> Api:
    return Api(
        [
            *ThreadCalls(services).routes(),
            *RunCalls(services).routes(),
            *PageCalls(Page(services.host.agents), identify).routes(),
            *StatusCalls(services.sink).routes(),
            *MetricsCalls(services.sink, services.host).routes(),
        ],
        identify=identify,
        origins=Origins(settings.allowed_origins),
        limiter=RateLimiter(settings.limits.requests_per_minute, time.monotonic),
    )
