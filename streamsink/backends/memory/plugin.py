"""Offers the memory backend, and its timeline by itself."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from streamsink.backends.memory.settings import MemorySettings
from streamsink.core.checks import Check, Doubt
from streamsink.core.delivery import ListsMembers, ServesClients, Subscribes
from streamsink.core.errors import MissingExtraError
from streamsink.core.measures import Measures
from streamsink.plugins import BackendContext, BackendSpec, TimelineSpec, hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from streamsink.backends.memory.timeline import MemoryTimeline
    from streamsink.core.sink import StreamSink


@hookimpl
def streamsink_backends() -> list[BackendSpec]:
    """The backend ``memory``."""
    abilities = frozenset({ListsMembers, Measures, ServesClients, Subscribes})
    spec = BackendSpec(
        name="memory",
        factory=_make_sink,
        settings=MemorySettings,
        abilities=abilities,
        one_process=True,
        checks=_checks,
    )
    return [spec]


@hookimpl
def streamsink_timelines() -> list[TimelineSpec]:
    """The timeline ``memory``."""
    return [
        TimelineSpec(name="memory", factory=_make_timeline, settings=MemorySettings, one_process=True, checks=_checks)
    ]


def _make_timeline(context: BackendContext, own: MemorySettings) -> MemoryTimeline:
    from streamsink.backends.memory.timeline import MemoryTimeline

    return MemoryTimeline(limits=own, runtime=context.runtime)


def _make_sink(context: BackendContext, _: MemorySettings) -> StreamSink:
    try:
        from streamsink.backends.gateway.factory import gateway_delivery
    except ModuleNotFoundError as error:
        raise MissingExtraError("the memory backend's gateway", "asgi") from error
    from streamsink.core.composed import ComposedSink
    from streamsink.core.options import PublishOptions

    return ComposedSink(
        context.make_timeline("memory"),
        gateway_delivery(context.settings),
        options=PublishOptions.from_settings(context.settings),
        runtime=context.runtime,
    )


@asynccontextmanager
async def _checks(_: BackendContext, own: MemorySettings) -> AsyncIterator[Sequence[Check]]:
    async def look() -> Doubt:
        kept = f"in this process for {own.ttl_s} s: it depends on nothing, and ends with it"
        return Doubt(f"timelines are kept {kept}", "for several processes, or restarts, set STREAM_HISTORY=redis")

    yield [Check(name="memory", look=look)]
