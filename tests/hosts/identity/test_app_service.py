"""Azure App Service authentication headers: trusted where the platform sets them, nowhere else."""

from __future__ import annotations

import pytest

from streamsink.core.identity import Request
from streamsink.hosts.identity.app_service import AppServiceIdentity

HEADERS = {"x-ms-client-principal-id": "42", "x-ms-client-principal-idp": "aad"}


def request(headers: dict[str, str]) -> Request:
    return Request(method="GET", path="/", headers=headers)


@pytest.mark.parametrize("value", ["True", "true", " TRUE "])
def test_the_platforms_user_is_known_where_its_authentication_is_on(value: str) -> None:
    user = AppServiceIdentity({"WEBSITE_AUTH_ENABLED": value})(request(HEADERS))

    assert user is not None
    assert (user.subject, user.issuer, user.is_service) == ("42", "app service: aad", False)


@pytest.mark.parametrize("environ", [{}, {"WEBSITE_AUTH_ENABLED": "False"}, {"WEBSITE_AUTH_ENABLED": ""}])
def test_the_headers_mean_nothing_anywhere_else(environ: dict[str, str]) -> None:
    assert AppServiceIdentity(environ)(request(HEADERS)) is None


@pytest.mark.parametrize("missing", sorted(HEADERS))
def test_half_of_the_headers_is_nobody(missing: str) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != missing}

    assert AppServiceIdentity({"WEBSITE_AUTH_ENABLED": "true"})(request(headers)) is None


def test_the_same_id_of_two_providers_is_two_users() -> None:
    knows = AppServiceIdentity({"WEBSITE_AUTH_ENABLED": "true"})

    aad, google = knows(request(HEADERS)), knows(request({**HEADERS, "x-ms-client-principal-idp": "google"}))

    assert aad is not None
    assert google is not None
    assert aad.id != google.id
