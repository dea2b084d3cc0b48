"""Offers the signalr backend."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from streamsink.backends.signalr.settings import SignalRSettings
from streamsink.core.delivery import ListsMembers
from streamsink.core.errors import MissingExtraError
from streamsink.core.measures import Measures
from streamsink.plugins import BackendContext, BackendSpec, hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from streamsink.core.checks import Check
    from streamsink.core.sink import StreamSink

_HISTORY: Final = "memory"


@hookimpl
def streamsink_backends() -> list[BackendSpec]:
    """The backend ``signalr``."""
    abilities = frozenset({ListsMembers, Measures})
    spec = BackendSpec(
        name="signalr",
        factory=_make_sink,
        settings=SignalRSettings,
        abilities=abilities,
        history=_HISTORY,
        checks=_checks,
    )
    return [spec]


def _check_installed() -> None:
    if find_spec("httpx") is None:
        raise MissingExtraError("Azure SignalR Service", "signalr")


def _make_sink(context: BackendContext, own: SignalRSettings) -> StreamSink:
    _check_installed()
    from streamsink.backends.signalr.factory import signalr_sink

    return signalr_sink(context.settings, own, context.runtime, context.make_timeline(_HISTORY))


def _checks(context: BackendContext, own: SignalRSettings) -> AbstractAsyncContextManager[Sequence[Check]]:
    _check_installed()
    from streamsink.backends.signalr.checks import signalr_checks

    return signalr_checks(context.settings, own, context.runtime)
