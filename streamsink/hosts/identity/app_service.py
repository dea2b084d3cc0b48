"""Users that Azure App Service authentication ("Easy Auth") has logged in.

The platform removes these headers from what clients send only where its authentication is on, which it says
with ``WEBSITE_AUTH_ENABLED``; anywhere else anybody can send them.
https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamsink.core.identity import User

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamsink.core.identity import Request

__all__ = ["AppServiceIdentity"]

_ENABLED: Final = "WEBSITE_AUTH_ENABLED"
_ID: Final = "x-ms-client-principal-id"
_PROVIDER: Final = "x-ms-client-principal-idp"


class AppServiceIdentity:
    """Knows whom the platform has logged in; nobody where the platform's authentication is off.

    Args:
        environ: this process's environment.
    """

    __slots__ = ("_is_enabled",)

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._is_enabled = environ.get(_ENABLED, "").strip().lower() == "true"

    def __call__(self, request: Request) -> User | None:
        """The user that the platform's headers name; None without them."""
        subject, provider = request.headers.get(_ID), request.headers.get(_PROVIDER)
        if not self._is_enabled or not subject or not provider:
            return None
        return User(subject=subject, issuer=f"app service: {provider}")
