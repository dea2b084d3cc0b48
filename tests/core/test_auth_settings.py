"""Which settings about callers go together."""

from __future__ import annotations

import pytest

from streamsink.core.auth_settings import Auth
from streamsink.core.errors import SettingsError
from streamsink.core.variables import read

SECRET = "s" * 32
URL = "https://login.example.com/keys"
JWT = {"STREAM_AUTH": "jwt", "STREAM_JWT_AUDIENCE": "us"}


def test_everybody_is_let_in_by_default() -> None:
    assert Auth().mode == "anonymous"
    assert not Auth().jwt.is_set


@pytest.mark.parametrize(
    ("environ", "algorithms"),
    [
        ({"STREAM_JWT_SECRET": SECRET}, ("HS256",)),
        ({"STREAM_JWT_SECRET": "s" * 64, "STREAM_JWT_ALGORITHMS": "HS256,HS512"}, ("HS256", "HS512")),
        ({"STREAM_JWT_JWKS_URL": URL}, ("RS256", "ES256")),
        ({"STREAM_JWT_JWKS_URL": URL + "?p=x", "STREAM_JWT_ALGORITHMS": "EdDSA"}, ("EdDSA",)),
        ({"STREAM_JWT_JWKS_URL": "http://localhost:9/keys"}, ("RS256", "ES256")),
    ],
)
def test_tokens_are_verified_with_a_secret_or_published_keys(
    environ: dict[str, str], algorithms: tuple[str, ...]
) -> None:
    auth = read(Auth, {**JWT, **environ})

    assert auth.jwt.is_set
    assert auth.jwt.allowed_algorithms == algorithms


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        (JWT, "STREAM_JWT_SECRET"),
        ({**JWT, "STREAM_JWT_SECRET": SECRET, "STREAM_JWT_JWKS_URL": URL}, "STREAM_JWT_SECRET"),
        ({"STREAM_AUTH": "jwt", "STREAM_JWT_SECRET": SECRET}, "STREAM_JWT_AUDIENCE"),
        ({**JWT, "STREAM_JWT_SECRET": SECRET, "STREAM_JWT_ALGORITHMS": "RS256"}, "STREAM_JWT_ALGORITHMS"),
        ({**JWT, "STREAM_JWT_JWKS_URL": URL, "STREAM_JWT_ALGORITHMS": "HS256"}, "STREAM_JWT_ALGORITHMS"),
        ({**JWT, "STREAM_JWT_SECRET": SECRET, "STREAM_JWT_ALGORITHMS": "none"}, "STREAM_JWT_ALGORITHMS"),
        ({**JWT, "STREAM_JWT_SECRET": SECRET, "STREAM_JWT_ALGORITHMS": "HS512"}, "STREAM_JWT_SECRET"),
        ({**JWT, "STREAM_JWT_SECRET": "short"}, "STREAM_JWT_SECRET"),
        ({**JWT, "STREAM_JWT_JWKS_URL": "http://login.example.com/keys"}, "STREAM_JWT_JWKS_URL"),
        ({**JWT, "STREAM_JWT_JWKS_URL": "keys"}, "STREAM_JWT_JWKS_URL"),
        ({**JWT, "STREAM_JWT_SECRET": SECRET, "STREAM_JWT_ISSUER": "a\x00b"}, "STREAM_JWT_ISSUER"),
        ({"STREAM_SERVICE_KEYS": f"{SECRET},short"}, "STREAM_SERVICE_KEYS"),
    ],
)
def test_what_does_not_go_together_stops_the_start(environ: dict[str, str], variable: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(Auth, environ)

    assert caught.value.variable == variable


@pytest.mark.parametrize("environ", [{"STREAM_JWT_SECRET": SECRET}, {"STREAM_JWT_AUDIENCE": "us"}])
def test_token_settings_are_not_ignored_when_everybody_would_be_let_in(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="STREAM_AUTH should be `jwt`"):
        read(Auth, environ)


def test_service_keys_go_with_both() -> None:
    assert read(Auth, {"STREAM_SERVICE_KEYS": f"{SECRET}, {'t' * 32}"}).service_keys == (SECRET, "t" * 32)
