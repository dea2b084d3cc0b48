"""Access tokens."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.gateway.tokens import AccessTokens, Place
from streamsink.core.errors import SettingsError, TooLargeError, UnauthenticatedError

from .support import KEY, OTHER_KEY, ManualClock

NOW = 1_000_000.0
AUD = "https://host.test/client/?hub=chat"
ASKED = Place.of_request("host.test:8080", "/client")


def make_tokens(**options: Any) -> AccessTokens:
    return AccessTokens([KEY, OTHER_KEY], clock=ManualClock(NOW), **options)


def sign(key: bytes = KEY, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    claims = {"aud": AUD, "exp": NOW + 60, **claims}
    return jwt.encode(claims, key, algorithm="HS256", headers=headers)


def verify(token: str, tokens: AccessTokens | None = None, asked: Place = ASKED) -> str | None:
    return (tokens or make_tokens()).verify(token, hub="chat", asked=asked)


def test_a_token_may_be_nobodys_and_short_lived() -> None:
    tokens = make_tokens()

    token = tokens.mint(None, base_url="https://host.test", hub="chat", lifetime_s=300)

    assert verify(token, tokens) is None
    assert tokens.claims(token)["exp"] == NOW + 300


def test_what_is_minted_is_verified() -> None:
    tokens = make_tokens(lifetime_s=120)

    token = tokens.mint("ann", base_url="https://host.test", hub="chat")

    claims = jwt.decode(token, KEY, algorithms=["HS256"], options={"verify_signature": False})
    assert claims == {"nameid": "ann", "aud": AUD, "iat": NOW, "nbf": NOW - 60, "exp": NOW + 120}
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    assert verify(token) == "ann"


def test_tokens_live_an_hour_by_default() -> None:
    token = make_tokens().mint("ann", base_url="https://host.test", hub="chat")

    assert jwt.decode(token, options={"verify_signature": False})["exp"] == NOW + 3600


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_every_key_verifies_whatever_the_kid(key: bytes) -> None:
    """Check 20."""
    assert verify(sign(key, headers={"kid": "whoever"}, nameid="ann")) == "ann"


def unsigned(header: Any, claims: Any, signature: str = "") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join([*parts, signature])


@pytest.mark.parametrize(
    "token",
    [
        sign(b"x" * 32),
        sign() + "x",
        sign()[:-3],
        unsigned({"alg": "none", "typ": "JWT"}, {"aud": AUD, "exp": NOW + 60}),
        unsigned({"alg": "RS256", "typ": "JWT"}, {"aud": AUD, "exp": NOW + 60}, "c2ln"),
        unsigned([], {}),
        unsigned({"alg": []}, {}),
        base64.urlsafe_b64encode(b"[" * 2_900).decode() + ".e30.",
        jwt.encode({"aud": AUD, "exp": NOW + 60}, KEY * 2, algorithm="HS512"),
        "",
        "a.b.c",
        "\u00fc.\ud800",
    ],
)
def test_a_bad_signature_is_refused(token: str) -> None:
    """Check 15."""
    with pytest.raises(UnauthenticatedError, match="The signature is invalid"):
        verify(token)


@pytest.mark.parametrize("exp", [NOW, NOW - 1, "soon", None, True, [], float("nan")])
def test_an_expired_token_is_refused_without_any_skew(exp: Any) -> None:
    """Check 16."""
    with pytest.raises(UnauthenticatedError, match="The token expired"):
        verify(sign(exp=exp))


def test_a_token_is_good_until_it_expires() -> None:
    assert verify(sign(exp=NOW + 0.5, nbf=NOW, iat=NOW + 500)) is None


@pytest.mark.parametrize("nbf", [NOW + 1, "now", None])
def test_a_token_of_the_future_is_refused(nbf: Any) -> None:
    """Check 16, our choice."""
    with pytest.raises(UnauthenticatedError, match="not yet valid"):
        verify(sign(nbf=nbf))


@pytest.mark.parametrize(
    "aud",
    [
        "https://host.test/client/?hub=chat",
        "https://host.test/client?hub=chat",
        "http://HOST.test:1234/client/?hub=chat",
        "https://host.test/cl%69ent/?hub=chat&asrs.op=%2Fx&asrs_request_id=1",
    ],
)
def test_the_right_url_is_accepted_however_it_is_written(aud: str) -> None:
    """Check 17."""
    assert verify(sign(aud=aud)) is None


@pytest.mark.parametrize(
    "aud",
    [
        "https://host.test/client/?hub=other",
        "https://host.test/client/?hub=Chat",
        "https://host.test/client/?hub=chat&hub=chat",
        "https://host.test/client/",
        "https://other.test/client/?hub=chat",
        "https://host.test/api/hubs/chat/:send",
        "https://host.test/prefix/client/?hub=chat",
        "https://host.test/CLIENT/?hub=chat",
        "https://[host/client/?hub=chat",
        "/client/?hub=chat",
        "",
        None,
        7,
        [AUD],
    ],
)
def test_the_token_of_another_place_is_refused(aud: Any) -> None:
    """Check 17."""
    with pytest.raises(UnauthenticatedError, match="The audience is invalid"):
        verify(sign(aud=aud))


def test_with_base_urls_only_they_count() -> None:
    """Check 17."""
    tokens = make_tokens(base_urls=["https://public.test/app", "http://inside.test"])
    asked = Place.of_request("whatever.test", "/client")

    assert verify(sign(aud="https://Public.test:444/app/client/?hub=chat"), tokens, asked) is None
    assert verify(sign(aud="http://inside.test/client/?hub=chat"), tokens, asked) is None
    for aud in ("http://public.test/app/client/?hub=chat", "https://whatever.test/client/?hub=chat"):
        with pytest.raises(UnauthenticatedError):
            verify(sign(aud=aud), tokens, asked)


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({"asrs.s.uid": "a", "nameid": "b", "sub": "c"}, "a"),
        ({"sub": "c", "nameid": "b"}, "b"),
        ({"sub": "c"}, "c"),
        ({"nameid": "", "sub": 5}, None),
        ({}, None),
    ],
)
def test_the_user_is_found_in_this_order(claims: dict[str, Any], user: str | None) -> None:
    """Check 19."""
    assert verify(sign(**claims)) == user


def test_a_long_token_is_not_looked_at() -> None:
    """Check 21."""
    with pytest.raises(TooLargeError):
        verify("x" * 4097)


@given(st.text(max_size=200))
def test_garbage_is_unauthenticated(token: str) -> None:
    with pytest.raises(UnauthenticatedError):
        verify(token)


@given(st.text(max_size=60))
def test_garbage_audiences_are_unauthenticated(aud: str) -> None:
    with pytest.raises(UnauthenticatedError):
        verify(sign(aud=aud))


@pytest.mark.parametrize("keys", [[], [b"short"], [KEY, b"short"]])
def test_keys_must_be_there_and_long_enough(keys: list[bytes]) -> None:
    with pytest.raises(SettingsError) as caught:
        AccessTokens(keys, clock=ManualClock())

    assert "short" not in str(caught.value)


def test_a_bad_host_header_is_no_place() -> None:
    assert Place.of_request("[bad", "/client").host == ""
    assert Place.of_request("Host.TEST:1", "/client").host == "host.test"
