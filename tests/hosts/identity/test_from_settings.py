"""The way that settings and platform describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt
import pytest

from streamsink.core.errors import ForbiddenError, UnauthenticatedError
from streamsink.core.identity import Request, User, resolve
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings
from streamsink.core.tickets import Tickets
from streamsink.hosts.identity import from_settings

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET, KEY = "s" * 32, "k" * 32
RING = SecretRing.parse(SECRET)
NOW = 1_700_000_000
TOKEN = jwt.encode({"sub": "alice", "iss": "https://login.example.com", "aud": "us", "exp": NOW + 60}, SECRET)
PLATFORM = {"x-ms-client-principal-id": "42", "x-ms-client-principal-idp": "aad"}
JWT = {"STREAM_AUTH": "jwt", "STREAM_JWT_SECRET": SECRET, "STREAM_JWT_AUDIENCE": "us"}


async def identify(
    variables: dict[str, str],
    headers: dict[str, str] | None = None,
    *,
    environ: dict[str, str] | None = None,
    is_secure: Callable[[Request], bool] | None = None,
) -> User | None:
    function = from_settings(
        Settings.from_environ(variables),
        RING,
        clock=lambda: NOW,
        random=lambda size: b"r" * size,
        environ=environ or {},
        is_secure=is_secure,
    )
    return await resolve(function(Request(method="GET", path="/", headers=headers or {})))


async def issuer(variables: dict[str, str], headers: dict[str, str], **environ: str) -> str:
    user = await identify(variables, headers, environ=environ)
    assert user is not None
    return user.issuer


async def test_everybody_is_somebody_by_default() -> None:
    assert await issuer({}, {}) == "anonymous"


async def test_with_jwt_only_bearers_are_somebody() -> None:
    assert await identify(JWT) is None
    assert await issuer(JWT, {"authorization": f"Bearer {TOKEN}"}) == "https://login.example.com"


async def test_a_wrong_token_is_not_the_platforms_user() -> None:
    with pytest.raises(UnauthenticatedError):
        await issuer(JWT, {"authorization": "Bearer x", **PLATFORM}, WEBSITE_AUTH_ENABLED="true")


@pytest.mark.parametrize("variables", [{}, JWT])
async def test_the_platforms_user_comes_before_the_cookie(variables: dict[str, str]) -> None:
    assert await issuer(variables, PLATFORM, WEBSITE_AUTH_ENABLED="true") == "app service: aad"


async def test_anybody_can_send_the_platforms_headers_elsewhere() -> None:
    assert await issuer({}, PLATFORM) == "anonymous"


@pytest.mark.parametrize("variables", [{}, JWT])
async def test_a_service_key_goes_with_both(variables: dict[str, str]) -> None:
    user = await identify({**variables, "STREAM_SERVICE_KEYS": KEY}, {"x-stream-service-key": KEY})

    assert user is not None
    assert user.is_service


async def test_a_service_key_is_wrong_where_there_are_none() -> None:
    with pytest.raises(UnauthenticatedError):
        await identify({}, {"x-stream-service-key": KEY})


async def test_tickets_of_the_same_ring_are_read() -> None:
    ticket = Tickets(RING, lambda: NOW).mint("t", ["read"], 60)

    user = await identify({}, {"x-stream-ticket": ticket})

    assert user is not None
    assert user.tickets == {"t": frozenset({"read"})}
    with pytest.raises(ForbiddenError):
        await identify({}, {"x-stream-ticket": "made-up"})


@pytest.mark.parametrize(
    ("public_url", "forwarded", "is_secure"),
    [
        ("https://chat.example.com", None, True),
        ("http://chat.example.com", "https", False),
        (None, None, False),
        (None, "http", False),
        (None, "HTTPS", True),
        (None, "https, http", True),
    ],
)
async def test_the_cookie_is_for_https_when_the_request_was(
    public_url: str | None, forwarded: str | None, is_secure: bool
) -> None:
    variables = {} if public_url is None else {"STREAM_PUBLIC_URL": public_url}
    headers = {} if forwarded is None else {"x-forwarded-proto": forwarded}

    user = await identify(variables, headers)

    assert user is not None
    assert ("Secure" in user.response_headers[0][1]) is is_secure


async def test_a_host_that_knows_better_says_so() -> None:
    user = await identify({"STREAM_PUBLIC_URL": "http://x"}, is_secure=lambda _: True)

    assert user is not None
    assert "Secure" in user.response_headers[0][1]
