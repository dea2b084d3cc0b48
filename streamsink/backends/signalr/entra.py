"""Microsoft Entra ID, through azure-identity."""

from __future__ import annotations

import asyncio
import math
import threading
from typing import TYPE_CHECKING, Final, Protocol

from streamsink.backends.signalr.connection_string import AppCertificate, AppSecret, ManagedIdentity
from streamsink.backends.signalr.credentials import Credentials
from streamsink.backends.signalr.replies import ServiceError
from streamsink.core.errors import MissingExtraError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamsink.backends.signalr.connection_string import Identity

__all__ = ["EntraCredentials", "TokenSource", "token_source"]

_SCOPE: Final = "https://signalr.azure.com/.default"
_RENEW_BEFORE_S: Final = 300.0
_RETRY_AFTER_S: Final = 5.0


class EntraToken(Protocol):
    """``azure.core.credentials.AccessToken``: a token, and when it ends in seconds since 1970."""

    @property
    def token(self) -> str:
        """What is sent."""
        ...

    @property
    def expires_on(self) -> int:
        """Seconds since 1970."""
        ...


class TokenSource(Protocol):
    """``azure.core.credentials.TokenCredential``: what azure-identity's credentials are."""

    def get_token(self, *scopes: str) -> EntraToken:
        """A token; blocks."""
        ...


def token_source(identity: Identity, variable: str) -> TokenSource:
    """azure-identity's credential for an identity of a connection string.

    Args:
        variable: where the connection string comes from, for errors.

    Raises:
        MissingExtraError: azure-identity is not installed.
        SettingsError: the certificate cannot be read.
    """
    try:
        from azure import identity as azure
    except ModuleNotFoundError as error:
        raise MissingExtraError("Microsoft Entra ID", "entra") from error
    if isinstance(identity, ManagedIdentity):
        if identity.resource_id is not None:
            return azure.ManagedIdentityCredential(identity_config={"resource_id": identity.resource_id})
        return azure.ManagedIdentityCredential(client_id=identity.client_id)
    if isinstance(identity, AppSecret):
        return azure.ClientSecretCredential(identity.tenant_id, identity.client_id, identity.secret)
    if isinstance(identity, AppCertificate):
        try:
            return azure.CertificateCredential(identity.tenant_id, identity.client_id, identity.path)
        except (OSError, ValueError) as error:
            raise SettingsError(
                variable, "a connection string whose ClientCertPath is a PEM or PKCS12 file with a private key"
            ) from error
    if identity.client_id is not None:
        return azure.DefaultAzureCredential(managed_identity_client_id=identity.client_id)
    return azure.DefaultAzureCredential()


class EntraCredentials(Credentials):
    """Asks for a token when the last one is about to end, in a thread: azure-identity's calls block.

    Client tokens are made by the service: its own keys are not needed here.

    Args:
        source: an azure-identity credential, or anybody's of that shape.
        clock: seconds since 1970.
    """

    def __init__(self, source: TokenSource, *, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._good_until = -math.inf
        self._failed_until = -math.inf

    async def rest_token(self, audience: str) -> str:
        return self._cached() or await asyncio.to_thread(self._fetch)

    def _cached(self) -> str:
        return self._token if self._clock() < self._good_until else ""

    def _fetch(self) -> str:
        """One at a time; those who waited take what came, also when that is an error."""
        with self._lock:
            if token := self._cached():
                return token
            if self._clock() < self._failed_until:
                raise ServiceError("Microsoft Entra ID gave no token a moment ago", "credentials")
            try:
                found = self._source.get_token(_SCOPE)
            except Exception as error:  # azure-identity has many, and network libraries of its own
                self._failed_until = self._clock() + _RETRY_AFTER_S
                raise ServiceError(
                    f"Microsoft Entra ID gave no token: {type(error).__name__}", "credentials"
                ) from error
            self._good_until = found.expires_on - _RENEW_BEFORE_S
            self._token = found.token
            return found.token

    def refused(self, token: str) -> bool:
        self._good_until = -math.inf
        return False  # azure-identity may have kept the same one

    def client_token(self, audience: str, user_id: str, *, lifetime_s: int) -> str | None:
        return None
