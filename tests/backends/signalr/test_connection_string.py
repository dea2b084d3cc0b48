"""Every documented form of a connection string; what is wrong is named, and no key is shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.signalr.connection_string import (
    AccessKey,
    AppCertificate,
    AppSecret,
    ConnectionString,
    DefaultIdentity,
    ManagedIdentity,
)
from streamsink.core.errors import SettingsError

KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA=="
HOST = "https://x.service.signalr.net"


def parse(text: str) -> ConnectionString:
    return ConnectionString.parse(text, "VARIABLE")


def wrong(text: str) -> str:
    with pytest.raises(SettingsError, match="VARIABLE") as caught:
        parse(text)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_the_portals_form() -> None:
    found = parse(f"Endpoint={HOST};AccessKey={KEY};Version=1.0;")

    assert (found.endpoint, found.server_endpoint, found.client_endpoint) == (HOST, HOST, HOST)
    assert found.credential == AccessKey(KEY.encode())  # as it is written, not decoded


def test_the_emulators_form() -> None:
    assert (
        parse(f"Endpoint=http://localhost;Port=8888;AccessKey={KEY};Version=1.0;").endpoint == "http://localhost:8888"
    )


@pytest.mark.parametrize(
    ("parts", "credential"),
    [
        ("AuthType=azure", DefaultIdentity()),
        ("AuthType=azure.msi", ManagedIdentity()),
        ("AuthType=azure.msi;ClientId=0-1-2", ManagedIdentity("0-1-2")),
        ("authtype=Azure.MSI;clientid=0-1-2;", ManagedIdentity("0-1-2")),
        ("AuthType=azure.app;ClientId=c;TenantId=t;ClientSecret=s=~", AppSecret("t", "c", "s=~")),
        ("AuthType=azure.app;ClientId=c;TenantId=t;ClientCertPath=/a b.pem", AppCertificate("t", "c", "/a b.pem")),
        ("AuthType=azure.app;ClientId=c;TenantId=t;ClientCert=/a.pem", AppCertificate("t", "c", "/a.pem")),
        ("AuthType=aad", ManagedIdentity()),
        ("AuthType=aad;ClientId=c", ManagedIdentity("c")),
        ("AuthType=aad;ClientId=c;TenantId=t;ClientSecret=s", AppSecret("t", "c", "s")),
        (f"AuthType=unheard-of;AccessKey={KEY}", AccessKey(KEY.encode())),
        (f" ; ACCESSKEY = {KEY} ;; junk; Other=1; Version=1.0-preview", AccessKey(KEY.encode())),
    ],
)
def test_every_kind_of_credential(parts: str, credential: Any) -> None:
    assert parse(f"Endpoint={HOST};{parts}").credential == credential


def test_other_addresses_for_servers_and_clients() -> None:
    found = parse(
        f"Endpoint={HOST}/;AccessKey={KEY};ServerEndpoint=https://in.test:8443/a/;ClientEndpoint=HTTP://Out.Test:80;"
    )

    assert found.endpoint == HOST
    assert (found.server_endpoint, found.client_endpoint) == ("https://in.test:8443/a", "http://out.test")


@pytest.mark.parametrize(
    ("endpoint", "read"),
    [
        ("HTTPS://X.Test:443/", "https://x.test"),
        ("https://x.test:444", "https://x.test:444"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://x.test/Path//", "https://x.test/Path"),
    ],
)
def test_addresses_are_written_as_they_will_be_asked_for(endpoint: str, read: str) -> None:
    assert parse(f"Endpoint={endpoint};AccessKey={KEY}").endpoint == read


def test_a_port_replaces_that_of_the_endpoint() -> None:
    assert parse(f"Endpoint=http://[::1]:80/a;Port=8080;AccessKey={KEY}").endpoint == "http://[::1]:8080/a"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("nonsense", "parts such as"),
        (f"AccessKey={KEY}", "an Endpoint"),
        (f"Endpoint=;AccessKey={KEY}", "an Endpoint"),
        (f"Endpoint={HOST}", "an AccessKey"),
        (f"Endpoint={HOST};AuthType=nonsense", "an AuthType of"),
        (f"Endpoint={HOST};AccessKey={KEY[:31]}", "AccessKey is complete"),
        (f"Endpoint={HOST};AccessKey={KEY};accesskey={KEY}", "only one AccessKey"),
        (f"Endpoint={HOST};AccessKey={KEY};Version=2.0", "Version"),
        *((f"Endpoint={HOST};AccessKey={KEY};Port={port}", "Port") for port in ("0", "65536", "x", "-1", "\uff11")),
        *(
            (f"Endpoint={url};AccessKey={KEY}", "Endpoint")
            for url in ("x.test", "ftp://x", "https://", "https://u:p@x", "https://x?y", "https://x#y", "https://x:99999",
                        "https://x:0", "https://x y", "https://ü.test", "https://[x", "//x")
        ),
        (f"Endpoint={HOST};AccessKey={KEY};ClientEndpoint=x", "ClientEndpoint"),
        (f"Endpoint={HOST};AccessKey={KEY};ServerEndpoint=x", "ServerEndpoint"),
        (f"Endpoint={HOST};AuthType=azure.app;ClientId=c;ClientSecret={KEY}", "a TenantId"),
        (f"Endpoint={HOST};AuthType=azure.app;TenantId=t;ClientSecret={KEY}", "a ClientId"),
        (f"Endpoint={HOST};AuthType=azure.app;TenantId=t;ClientId=c", "ClientSecret or a ClientCertPath"),
        (f"Endpoint={HOST};AuthType=azure.app;TenantId=t/..;ClientId=c;ClientSecret={KEY}", "TenantId"),
        (f"Endpoint={HOST};AuthType=azure.msi;ClientId=a b", "ClientId"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(text: str, part: str) -> None:
    said = wrong(text)

    assert part in said
    assert KEY[:16] not in said


def test_nothing_that_shows_a_value_shows_a_secret() -> None:
    for credential in ("AccessKey=", "AuthType=azure.app;ClientId=c;TenantId=t;ClientSecret="):
        assert KEY[:16] not in repr(parse(f"Endpoint={HOST};{credential}{KEY}"))


NAMES = st.sampled_from(["Endpoint", "AccessKey", "Port", "AuthType", "ClientId", "Version", "ClientSecret", "x", ""])
VALUES = st.sampled_from(
    [HOST, KEY, KEY[:31], f"{HOST}?{KEY}", f"https://{KEY}@x", "azure.app", "azure", "1.0", "", "ü"]
)


@given(
    st.lists(st.tuples(NAMES, st.sampled_from(["=", "", " = "]), VALUES), max_size=6),
    st.sampled_from([";", ";;", ",", "\n"]),
)
def test_no_wrong_string_makes_an_error_that_shows_a_key(parts: list[tuple[str, str, str]], between: str) -> None:
    text = between.join("".join(part) for part in parts)
    try:
        shown = repr(parse(text))
    except SettingsError as error:
        shown = f"{error} {error!r} {error.__cause__}"

    assert KEY[:31].lower() not in shown.lower()


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        said = f"{parse(text).endpoint}:"
    except SettingsError as error:
        said = str(error)

    assert said.startswith(("VARIABLE should be a connection string", "http"))
