"""Connection strings of Azure SignalR Service. Sans-IO.

Rules: learn.microsoft.com "Connection strings in Azure SignalR Service", and the service SDK's own parser where the
page is silent. No error quotes anything of a string: any part of a wrong one may be a key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from streamsink.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AccessKey",
    "AppCertificate",
    "AppSecret",
    "ConnectionString",
    "DefaultIdentity",
    "Identity",
    "ManagedIdentity",
    "base_url",
]

_NAMES: Final = {
    name.lower(): name
    for name in (
        "Endpoint", "Port", "AccessKey", "Version", "AuthType", "ClientId", "TenantId", "ClientSecret",
        "ClientCertPath", "ClientCert", "ClientEndpoint", "ServerEndpoint",
    )
}  # fmt: skip
_VERSION: Final = re.compile(r"1\.[0-9]+[\w\-.]*")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_URL: Final = re.compile(r"[!\"$->A-~]{1,2000}")  # visible, without query, fragment and user
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,256}")
_MIN_KEY_BYTES: Final = 32  # RFC 7518 §3.2: at least the size of the hash; the service's own have 44 or more
_MAX_PORT: Final = 65_535
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One of the service's two keys.

    Args:
        value: the UTF-8 bytes of the text, which is not decoded.
    """

    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DefaultIdentity:
    """Whatever azure-identity's ``DefaultAzureCredential`` finds.

    Args:
        client_id: of the managed identity, where it finds several.
    """

    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class ManagedIdentity:
    """A managed identity; the system-assigned one without an id."""

    client_id: str | None = None
    resource_id: str | None = None


@dataclass(frozen=True, slots=True)
class AppSecret:
    """An application with a secret."""

    tenant_id: str
    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AppCertificate:
    """An application with a certificate in a file."""

    tenant_id: str
    client_id: str
    path: str


Identity: TypeAlias = DefaultIdentity | ManagedIdentity | AppSecret | AppCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionString:
    """What a connection string says. Base URLs have no slash at the end.

    Args:
        endpoint: the service; what client tokens are for.
        server_endpoint: where the REST API is called.
        client_endpoint: where clients connect.
        credential: what proves who calls.
    """

    endpoint: str
    server_endpoint: str
    client_endpoint: str
    credential: AccessKey | Identity

    @classmethod
    def parse(cls, text: str, variable: str) -> ConnectionString:
        """A connection string in any documented form.

        Args:
            variable: where it comes from, for errors.

        Raises:
            SettingsError: it is wrong; says which part, and quotes nothing.
        """
        return _Parts(_split(text, variable), variable).read()


def _split(text: str, variable: str) -> dict[str, str]:
    """The parts by name; names in any case, the first ``=`` ends a name, what has none is skipped."""
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        known = _NAMES.get(name.strip().lower())
        if known is None or not equals:
            continue
        if known in parts:
            raise SettingsError(variable, f"a connection string with only one {known}")
        parts[known] = value.strip()
    return parts


def base_url(text: str, *, port: int | None = None) -> str:
    """The URL as HTTP clients will write it, since tokens are for exactly that; without a slash at its end.

    Args:
        port: instead of its own.

    Raises:
        ValueError: it is not absolute, http or https, without query, fragment and user.
    """
    if not _URL.fullmatch(text):
        raise ValueError("not visible ASCII without `?`, `#` and `@`")
    split = urlsplit(text)
    scheme, host, port = split.scheme, split.hostname, port or split.port
    if scheme not in _DEFAULT_PORTS or not host or port == 0:
        raise ValueError("not an absolute http or https URL")
    host = f"[{host}]" if ":" in host else host
    place = host if port in (None, _DEFAULT_PORTS[scheme]) else f"{host}:{port}"
    return f"{scheme}://{place}{split.path}".rstrip("/")


@dataclass(frozen=True, slots=True)
class _Parts:
    parts: Mapping[str, str]
    variable: str

    def read(self) -> ConnectionString:
        if not self.parts:
            raise self._wrong("of parts such as `Endpoint=https://…;AccessKey=…;Version=1.0;`")
        endpoint = self._with_port(self._url("Endpoint", self._needed("Endpoint")))
        if "Version" in self.parts and not _VERSION.fullmatch(self.parts["Version"]):
            raise self._wrong("whose Version is 1.0 or another 1.x")
        return ConnectionString(
            endpoint=endpoint,
            server_endpoint=self._other("ServerEndpoint", endpoint),
            client_endpoint=self._other("ClientEndpoint", endpoint),
            credential=self._credential(),
        )

    def _wrong(self, expected: str) -> SettingsError:
        return SettingsError(self.variable, f"a connection string {expected}")

    def _needed(self, name: str, why: str = "") -> str:
        value = self.parts.get(name, "")
        if not value:
            raise self._wrong(f"with {'an' if name[0] in 'AE' else 'a'} {name}{why}")
        return value

    def _other(self, name: str, endpoint: str) -> str:
        value = self.parts.get(name)
        return self._url(name, value) if value else endpoint

    def _url(self, name: str, text: str) -> str:
        try:
            return base_url(text)
        except ValueError:
            raise self._wrong(f"whose {name} is an absolute http or https URL without query and user") from None

    def _with_port(self, endpoint: str) -> str:
        text = self.parts.get("Port", "")
        if not text:
            return endpoint
        if not _PORT.fullmatch(text) or not 1 <= int(text) <= _MAX_PORT:
            raise self._wrong(f"whose Port is a whole number, 1 to {_MAX_PORT}")
        return base_url(endpoint, port=int(text))

    def _credential(self) -> AccessKey | Identity:
        kind = self.parts.get("AuthType", "").lower()
        if kind == "azure":
            return DefaultIdentity()
        if kind == "azure.app":
            return self._app()
        if kind == "azure.msi":
            return self._managed()
        if kind == "aad":  # older: both
            return self._app() if self.parts.get("TenantId") else self._managed()
        return self._key()

    def _key(self) -> AccessKey:
        key = self._needed("AccessKey", ", or with an AuthType of azure, azure.msi or azure.app").encode()
        if len(key) < _MIN_KEY_BYTES:
            raise self._wrong(f"whose AccessKey is complete: it has at least {_MIN_KEY_BYTES} characters")
        return AccessKey(key)

    def _managed(self) -> ManagedIdentity:
        return ManagedIdentity(self._id("ClientId") if self.parts.get("ClientId") else None)

    def _app(self) -> AppSecret | AppCertificate:
        tenant_id, client_id = self._id("TenantId"), self._id("ClientId")
        secret = self.parts.get("ClientSecret")
        if secret:
            return AppSecret(tenant_id, client_id, secret)
        # The documentation has the one name and the SDK's parser the other.
        path = self.parts.get("ClientCertPath") or self.parts.get("ClientCert")
        if not path:
            raise self._wrong("with a ClientSecret or a ClientCertPath, as its AuthType is that of an application")
        return AppCertificate(tenant_id, client_id, path)

    def _id(self, name: str) -> str:
        value = self._needed(name, ", as its AuthType is that of an application")
        if not _ID.fullmatch(value):
            raise self._wrong(f"whose {name} is an id: letters, digits, dots and hyphens")
        return value
