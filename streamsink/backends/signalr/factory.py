"""A signalr sink, as the settings describe it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from streamsink.backends.signalr.client import SignalRClient
from streamsink.backends.signalr.connection_string import AccessKey, ConnectionString
from streamsink.backends.signalr.credentials import Credentials, KeyCredentials
from streamsink.backends.signalr.delivery import SignalRDelivery
from streamsink.backends.signalr.entra import EntraCredentials, token_source
from streamsink.backends.signalr.retries import RetryPolicy
from streamsink.backends.signalr.tokens import KeyRing
from streamsink.core.composed import ComposedSink
from streamsink.core.errors import SettingsError
from streamsink.core.options import PublishOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamsink.backends.signalr.settings import SignalRSettings
    from streamsink.core.runtime import Runtime
    from streamsink.core.settings import Settings
    from streamsink.core.timeline import Timeline

__all__ = ["credentials_of", "signalr_delivery", "signalr_sink"]

# At most nine messages per second and run, each of which is billed; our own gateway's window allows forty.
_WINDOW_S: Final = 0.11
_MAX_EVENT_BYTES: Final = 1_000_000  # the service takes bodies of 1 MB, envelope included
_LONGEST_PATIENCE_S: Final = 10.0


def signalr_sink(
    settings: Settings, own: SignalRSettings, runtime: Runtime, timeline: Timeline, **client: Any
) -> ComposedSink:
    """A sink on ``timeline``, which it then owns.

    Args:
        client: passed to :class:`SignalRClient`.

    Raises:
        SettingsError: settings that do not go together.
        MissingExtraError: azure-identity is needed and not installed.
    """
    options = PublishOptions.from_settings(settings, window_s=_WINDOW_S)
    if options.max_event_bytes > _MAX_EVENT_BYTES:
        raise SettingsError("STREAM_MAX_EVENT_BYTES", f"at most {_MAX_EVENT_BYTES} while STREAM_BACKEND is `signalr`")
    delivery = signalr_delivery(settings, own, runtime, **client)
    return ComposedSink(timeline, delivery, options=options, runtime=runtime)


def signalr_delivery(settings: Settings, own: SignalRSettings, runtime: Runtime, **client: Any) -> SignalRDelivery:
    """The delivery alone.

    Args:
        client: passed to :class:`SignalRClient`.

    Raises:
        MissingExtraError: as ``signalr_sink``.
    """
    service = own.service
    credentials = credentials_of(own, service, lambda: runtime.now_ms() / 1000)
    # A run's lease is renewed between two sends: waiting for the service must not outlast it.
    patience_s = min(_LONGEST_PATIENCE_S, settings.times.lease_s / 3)
    policy = RetryPolicy(timeout_s=min(own.timeout_s, patience_s), retries=own.retries, patience_s=patience_s)
    return SignalRDelivery(
        service,
        own.hub_name,
        SignalRClient(credentials, policy=policy, runtime=runtime, **client),
        credentials,
        token_lifetime_s=settings.times.token_lifetime_s,
        patience_s=patience_s,
    )


def credentials_of(own: SignalRSettings, service: ConnectionString, clock: Callable[[], float]) -> Credentials:
    """What proves who calls.

    Args:
        clock: seconds since 1970.

    Raises:
        MissingExtraError: azure-identity is needed and not installed.
    """
    if not isinstance(service.credential, AccessKey):
        return EntraCredentials(token_source(service.credential, own.variable), clock=clock)
    return KeyCredentials(KeyRing(own.access_keys, clock=clock))
