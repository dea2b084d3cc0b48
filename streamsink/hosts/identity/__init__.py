"""Who is calling: the ways that come with the package, and the one that the settings describe.

Each is an ``identify`` function (``streamsink.core.identity``): it answers a user, or None when the request
has nothing that it knows, and raises when the request has something wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.core.tickets import Tickets
from streamsink.hosts.identity.anonymous import AnonymousIdentity
from streamsink.hosts.identity.app_service import AppServiceIdentity
from streamsink.hosts.identity.bearer import BearerIdentity
from streamsink.hosts.identity.chain import FirstKnown, WithTickets
from streamsink.hosts.identity.service_key import ServiceKeyIdentity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streamsink.core.identity import Identify, Request
    from streamsink.core.secrets import RandomBytes, SecretRing
    from streamsink.core.settings import Settings

__all__ = [
    "AnonymousIdentity",
    "AppServiceIdentity",
    "BearerIdentity",
    "FirstKnown",
    "ServiceKeyIdentity",
    "WithTickets",
    "from_settings",
]


def from_settings(
    settings: Settings,
    ring: SecretRing,
    *,
    clock: Callable[[], float],
    random: RandomBytes,
    environ: Mapping[str, str],
    is_secure: Callable[[Request], bool] | None = None,
) -> Identify:
    """What STREAM_AUTH and the platform say, tickets included.

    Asked in this order: service keys; with ``jwt`` bearer tokens; App Service's users where that is on; with
    ``anonymous`` the cookie, which knows everybody.

    Args:
        settings: ``auth`` and ``public_url`` of it.
        ring: signs cookies and tickets.
        clock: seconds since 1970.
        random: makes anonymous users unguessable.
        environ: this process's environment, for what the platform says about itself.
        is_secure: whether a request came over https; None: as the public URL says, otherwise as the proxy in
            front says (``x-forwarded-proto``).

    Raises:
        SettingsError: tokens cannot be verified with these settings.
        MissingExtraError: published keys need a package that is not installed.
    """
    services, platform = ServiceKeyIdentity(settings.auth.service_keys), AppServiceIdentity(environ)
    if settings.auth.mode == "jwt":
        known = FirstKnown(services, BearerIdentity(settings.auth.jwt, clock), platform)
    else:
        secure = is_secure or _secure_as(settings.public_url)
        known = FirstKnown(services, platform, AnonymousIdentity(ring, clock, random, is_secure=secure))
    return WithTickets(known, Tickets(ring, clock))


def _secure_as(public_url: str | None) -> Callable[[Request], bool]:
    if public_url is None:
        return _is_forwarded_https
    is_https = public_url.lower().startswith("https:")
    return lambda _: is_https


def _is_forwarded_https(request: Request) -> bool:
    # A caller who makes this up only gets a cookie that their own browser will not send.
    return request.headers.get("x-forwarded-proto", "").split(",")[0].strip().lower() == "https"
