"""A gateway as the package's settings describe it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamsink.backends.gateway.delivery import GatewayBounds, GatewayDelivery
from streamsink.core.errors import SettingsError
from streamsink.core.origins import Origins
from streamsink.core.secrets import RING_EXPECTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamsink.core.settings import Settings

__all__ = ["gateway_delivery"]

_PURPOSE = "client access token"


def gateway_delivery(settings: Settings, **options: Any) -> GatewayDelivery:
    """A gateway for this process.

    Args:
        options: further ones of :class:`GatewayDelivery`.

    Raises:
        SettingsError: there is no secret to sign tokens with.
    """
    if settings.secret is None:
        raise SettingsError("STREAM_SECRET", RING_EXPECTED)
    origins = Origins(settings.allowed_origins)
    public_url = settings.public_url

    def allow_origin(origin: str, headers: Mapping[str, str]) -> bool:
        return any(origins.allows(origin, url) for url in _own_urls(public_url, headers))

    return GatewayDelivery(
        settings.secret.keys(_PURPOSE),
        base_urls=() if public_url is None else (public_url,),
        allow_origin=allow_origin,
        bounds=GatewayBounds(access_token_s=settings.times.token_lifetime_s),
        **options,
    )


def _own_urls(public_url: str | None, headers: Mapping[str, str]) -> tuple[str, ...]:
    """The URLs that a page of this very host may have come from: which scheme a proxy in front has, it alone knows."""
    if public_url is not None:
        return (public_url,)
    host = headers.get("host", "")
    return (f"http://{host}", f"https://{host}")
