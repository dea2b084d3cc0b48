"""The identity-based connection of Functions bindings."""

from __future__ import annotations

import pytest

from streamsink.backends.signalr.connection_string import (
    AppSecret,
    ConnectionString,
    DefaultIdentity,
    Identity,
    ManagedIdentity,
)
from streamsink.backends.signalr.settings import SignalRSettings
from streamsink.core.errors import SettingsError
from streamsink.core.variables import read
from streamsink.plugins import create_plugin_manager, load_settings

from .support import CONNECTION_STRING, HOST

URI = "https://y.service.signalr.net"
RESOURCE = "/subscriptions/0-1/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/n"


def settings(**parts: str) -> SignalRSettings:
    return read(SignalRSettings, {f"AzureSignalRConnectionString__{name}": value for name, value in parts.items()})


@pytest.mark.parametrize(
    ("parts", "identity"),
    [
        ({}, DefaultIdentity()),
        ({"clientId": "0-1"}, DefaultIdentity("0-1")),
        ({"credential": "managedidentity"}, ManagedIdentity()),
        ({"credential": "managedidentity", "clientId": "0-1"}, ManagedIdentity("0-1")),
        ({"credential": "managedidentity", "managedIdentityResourceId": RESOURCE}, ManagedIdentity(None, RESOURCE)),
        ({"tenantId": "t", "clientId": "c", "clientSecret": "s=~"}, AppSecret("t", "c", "s=~")),
    ],
)
def test_who_calls(parts: dict[str, str], identity: Identity) -> None:
    own = settings(serviceUri=f"{URI}/", **parts)

    assert own.service == ConnectionString(endpoint=URI, server_endpoint=URI, client_endpoint=URI, credential=identity)
    assert own.variable == "AzureSignalRConnectionString__serviceUri"
    assert "s=~" not in repr(own)


def test_clients_and_the_rest_api_may_be_elsewhere() -> None:
    service = settings(serviceUri=URI, serverEndpoint="https://a.test/s/", clientEndpoint="https://a.test/c").service

    assert (service.endpoint, service.server_endpoint, service.client_endpoint) == (
        URI,
        "https://a.test/s",
        "https://a.test/c",
    )


@pytest.mark.parametrize(
    ("parts", "variable"),
    [
        ({"serviceUri": "y.service.signalr.net"}, "serviceUri"),
        ({"serviceUri": URI, "credential": "key"}, "credential"),
        ({"serviceUri": URI, "clientId": "a b"}, "clientId"),
        ({"serviceUri": URI, "tenantId": "t"}, "serviceUri"),
        ({"serviceUri": URI, "clientId": "c", "clientSecret": "s"}, "serviceUri"),
        (
            {"serviceUri": URI, "credential": "managedidentity", "clientId": "c", "managedIdentityResourceId": "/x"},
            "managedIdentityResourceId",
        ),
        ({"serviceUri": URI, "managedIdentityResourceId": "x y"}, "managedIdentityResourceId"),
    ],
)
def test_what_is_wrong_is_named(parts: dict[str, str], variable: str) -> None:
    with pytest.raises(SettingsError, match=f"AzureSignalRConnectionString__{variable}"):
        settings(**parts)


def test_a_connection_string_goes_first() -> None:
    environ = {"AzureSignalRConnectionString__serviceUri": URI, "AzureSignalRConnectionString": CONNECTION_STRING}
    own = read(SignalRSettings, environ)

    assert (own.service.endpoint, own.variable) == (HOST, "AzureSignalRConnectionString")


def test_without_a_uri_there_is_no_service() -> None:
    """What is left of an identity names none; refused when it is read."""
    with pytest.raises(SettingsError, match="STREAM_SIGNALR_CONNECTION_STRING"):
        settings(clientId="c", serverEndpoint="https://a.test")


def test_the_settings_of_a_functions_app_are_known() -> None:
    """Names that do not begin with ``STREAM_`` are nobody's to refuse."""
    load_settings({"AzureSignalRConnectionString__serviceUri": URI}, create_plugin_manager())
