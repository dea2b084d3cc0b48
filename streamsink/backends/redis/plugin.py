"""Offers the redis backend, and its timeline by itself."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from streamsink.backends.redis.settings import RedisSettings
from streamsink.core.delivery import ServesClients, Subscribes
from streamsink.core.errors import MissingExtraError, SettingsError
from streamsink.core.measures import Measures
from streamsink.plugins import BackendContext, BackendSpec, TimelineSpec, hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from streamsink.core.checks import Check
    from streamsink.core.sink import StreamSink
    from streamsink.core.timeline import Timeline


@hookimpl
def streamsink_backends() -> list[BackendSpec]:
    """The backend ``redis``."""
    spec = BackendSpec(
        name="redis",
        factory=_make_sink,
        settings=RedisSettings,
        abilities=frozenset({Measures, ServesClients, Subscribes}),
        checks=_checks,
        check_workers=_check_workers,
    )
    return [spec]


@hookimpl
def streamsink_timelines() -> list[TimelineSpec]:
    """The timeline ``redis``."""
    return [TimelineSpec(name="redis", factory=_make_timeline, settings=RedisSettings, checks=_checks)]


def _check_workers(own: RedisSettings) -> None:
    if own.sticky_routing == "yes":
        expected = "`no` with --workers, which share a port, so that no balancer can choose one; or start several nodes"
        raise SettingsError("STREAM_STICKY_ROUTING", expected)


def _check_installed() -> None:
    if find_spec("redis") is None or find_spec("hiredis") is None:
        raise MissingExtraError("Redis", "redis")


def _make_timeline(context: BackendContext, own: RedisSettings) -> Timeline:
    _check_installed()
    from streamsink.backends.redis.factory import redis_timeline

    return redis_timeline(own, context.runtime)


def _make_sink(context: BackendContext, own: RedisSettings) -> StreamSink:
    if context.settings.history not in (None, "redis"):
        raise SettingsError("STREAM_HISTORY", "unset or `redis` while STREAM_BACKEND is `redis`")
    _check_installed()
    from streamsink.backends.redis.factory import redis_sink

    # A worker that only publishes needs no gateway, nor what one is made of.
    has_gateway = find_spec("websockets") is not None
    return redis_sink(context.settings, own, context.runtime, has_gateway=has_gateway)


def _checks(context: BackendContext, own: RedisSettings) -> AbstractAsyncContextManager[Sequence[Check]]:
    _check_installed()
    from streamsink.backends.redis.checks import redis_checks

    return redis_checks(own, context.runtime)
