"""The identity-based connection of Azure Functions' SignalR bindings, as they name its parts.

Source: learn.microsoft.com "SignalR Service bindings for Azure Functions", identity-based connections.
"""

# No postponed annotations here: they are read at run time.
import re
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Final

from streamsink.backends.signalr.connection_string import (
    AppSecret,
    ConnectionString,
    DefaultIdentity,
    Identity,
    ManagedIdentity,
    base_url,
)
from streamsink.core.errors import SettingsError
from streamsink.core.variables import Variable, choice

__all__ = ["SERVICE_URI", "IdentityConnection"]

_PREFIX: Final = "AzureSignalRConnectionString__"
SERVICE_URI: Final = f"{_PREFIX}serviceUri"

_URL: Final = "an absolute http or https URL without query and user"
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,256}")
_RESOURCE_ID: Final = re.compile(r"/[A-Za-z0-9/._()-]{1,1000}")


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError("not such an id")
    return text


def _url(name: str) -> Variable:
    return Variable(_PREFIX + name, _URL, base_url)


def _id(name: str) -> Variable:
    return Variable(_PREFIX + name, "an id: letters, digits, dots and hyphens", partial(_matching, _ID))


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityConnection:
    """Args:
    service_uri: the service; None: there is no such connection.
    server_endpoint: where the REST API is called, if elsewhere.
    client_endpoint: where clients connect, if elsewhere.
    credential: that it is a managed identity.
    client_id: of the managed identity, or of the application.
    resource_id: of the managed identity, instead of its client id.
    tenant_id: of the application.
    client_secret: of the application.
    """

    service_uri: Annotated[str | None, _url("serviceUri")] = None
    server_endpoint: Annotated[str | None, _url("serverEndpoint")] = None
    client_endpoint: Annotated[str | None, _url("clientEndpoint")] = None
    credential: Annotated[str | None, choice(f"{_PREFIX}credential", "managedidentity")] = None
    client_id: Annotated[str | None, _id("clientId")] = None
    resource_id: Annotated[
        str | None,
        Variable(
            f"{_PREFIX}managedIdentityResourceId", "a resource id: `/subscriptions/…`", partial(_matching, _RESOURCE_ID)
        ),
    ] = None
    tenant_id: Annotated[str | None, _id("tenantId")] = None
    client_secret: Annotated[str | None, Variable(f"{_PREFIX}clientSecret", "the secret of the application", str)] = (
        field(default=None, repr=False)
    )

    @property
    def connection(self) -> ConnectionString | None:
        """What a connection string would say; None without a service.

        Raises:
            SettingsError: its parts do not go together.
        """
        if self.service_uri is None:
            return None
        return ConnectionString(
            endpoint=self.service_uri,
            server_endpoint=self.server_endpoint or self.service_uri,
            client_endpoint=self.client_endpoint or self.service_uri,
            credential=self._identity(),
        )

    def _identity(self) -> Identity:
        if self.credential is not None:
            if self.client_id and self.resource_id:
                raise SettingsError(f"{_PREFIX}managedIdentityResourceId", "unset where there is a clientId")
            return ManagedIdentity(self.client_id, self.resource_id)
        if self.tenant_id is None and self.client_secret is None:
            return DefaultIdentity(self.client_id)
        if self.tenant_id and self.client_id and self.client_secret:
            return AppSecret(self.tenant_id, self.client_id, self.client_secret)
        raise SettingsError(SERVICE_URI, "with tenantId, clientId and clientSecret, or with neither tenant nor secret")
