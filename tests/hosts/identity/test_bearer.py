"""Bearer tokens: what makes one valid, and that nothing else does."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from streamsink.core.auth_settings import Jwt
from streamsink.core.errors import SettingsError, UnauthenticatedError, UnavailableError
from streamsink.core.identity import Request, User
from streamsink.hosts.identity.bearer import BearerIdentity
from streamsink.hosts.identity.published_keys import PublishedKeys

if TYPE_CHECKING:
    from collections.abc import Callable

RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
WEAK_RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
NOW = 1_700_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def claims(**changes: Any) -> dict[str, Any]:
    """Those of a good token; None takes one out."""
    good = {"sub": "alice", "iss": "https://login.example.com", "aud": "us", "exp": int(NOW) + 60}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(key: Any, algorithm: str, kid: str | None = None, **changes: Any) -> str:
    headers = None if kid is None else {"kid": kid}
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)


def published(kid: str) -> jwt.PyJWK:
    """The public key of that id: ``ec…``, ``weak…``, ``oct…`` or an RSA key."""
    if kid.startswith("ec"):
        jwk = ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True)
    elif kid.startswith("oct"):
        jwk = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I", "alg": "HS256"}
    else:
        key = WEAK_RSA_KEY if kid.startswith("weak") else RSA_KEY
        jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return jwt.PyJWK({**jwk, "kid": kid})


SECRET = "correct-horse-battery-staple-0123456789"
URL = "https://login.example.com/keys"


def shared(**changes: Any) -> BearerIdentity:
    return BearerIdentity(Jwt(**{"secret": SECRET, "audience": "us", **changes}), Clock())


def fetch() -> list[jwt.PyJWK]:
    return [published(kid) for kid in ("rsa", "ec", "weak", "oct")]


def by_keys(fetch: Callable[[], list[jwt.PyJWK]] = fetch) -> BearerIdentity:
    keys = PublishedKeys(URL, Clock(), fetch=fetch)
    return BearerIdentity(Jwt(jwks_url=URL, audience="us"), Clock(), keys=keys)


def request(authorization: str | None) -> Request:
    headers = {} if authorization is None else {"authorization": authorization}
    return Request(method="GET", path="/", headers=headers)


async def bearer(knows: BearerIdentity, text: str) -> User:
    user = await knows(request(f"Bearer {text}"))
    assert user is not None
    return user


async def test_the_bearer_of_a_good_token_is_its_subject_within_its_issuer() -> None:
    user = await bearer(shared(), token(SECRET, "HS256"))

    assert (user.subject, user.issuer, user.is_service) == ("alice", "https://login.example.com", False)


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA_KEY, "RS256", "rsa"), (EC_KEY, "ES256", "ec")])
async def test_tokens_signed_with_published_keys_are_good(key: Any, algorithm: str, kid: str) -> None:
    assert (await bearer(by_keys(), token(key, algorithm, kid))).subject == "alice"


@pytest.mark.parametrize("authorization", [None, "", "Basic dTpw", "Bearerx y"])
async def test_without_a_bearer_token_it_knows_nobody(authorization: str | None) -> None:
    assert await shared()(request(authorization)) is None


async def test_the_scheme_may_be_written_in_any_case() -> None:
    assert await shared()(request(f"bEARER  {token(SECRET, 'HS256')} ")) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "others"}, {"aud": None}, {"exp": None}, {"exp": NOW - 30}, {"exp": "soon"}, {"exp": True},
        {"exp": float("inf")}, {"exp": float("nan")}, {"nbf": int(NOW) + 31}, {"nbf": "later"}, {"sub": None},
        {"sub": ""}, {"sub": 7}, {"sub": "x" * 1_001}, {"iss": 7},
    ],
)  # fmt: skip
async def test_a_token_with_wrong_claims_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnauthenticatedError):
        await bearer(shared(), signed(changes))


@pytest.mark.parametrize(
    "changes", [{"exp": NOW - 29}, {"nbf": NOW + 30}, {"aud": ["others", "us"]}, {"iat": NOW + 99}]
)
async def test_clocks_may_be_half_a_minute_apart(changes: dict[str, Any]) -> None:
    assert (await bearer(shared(), signed(changes))).subject == "alice"


def signed(changes: dict[str, Any]) -> str:
    """A token signed without PyJWT's own checks of what goes in."""
    claims = {"sub": "alice", "aud": "us", "exp": NOW + 60, **changes}
    payload = json.dumps({name: value for name, value in claims.items() if value is not None})
    return jwt.api_jws.PyJWS().encode(payload.encode(), SECRET, algorithm="HS256")


async def test_the_issuer_wanted_is_the_only_one() -> None:
    knows = shared(issuer="https://login.example.com")

    assert (await bearer(knows, token(SECRET, "HS256"))).subject == "alice"
    for issuer in ("https://evil.example.com", None):
        with pytest.raises(UnauthenticatedError):
            await bearer(knows, token(SECRET, "HS256", iss=issuer))


async def test_a_token_without_issuer_is_its_subject_among_tokens() -> None:
    assert (await bearer(shared(), token(SECRET, "HS256", iss=None))).issuer == "jwt"


async def test_unsigned_tokens_are_refused_everywhere() -> None:
    unsigned = token(None, "none", "rsa")

    for knows in (shared(), by_keys()):
        with pytest.raises(UnauthenticatedError):
            await bearer(knows, unsigned)


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [
        (SECRET, "HS256", "rsa"),  # the wrong kind of signature
        (RSA_KEY, "RS512", "rsa"),  # an algorithm that is not allowed
        (RSA_KEY, "RS256", None),  # no key id
        (RSA_KEY, "RS256", "unknown"),
        (RSA_KEY, "RS256", "ec"),  # another type of key
        (EC_KEY, "ES256", "rsa"),
        (RSA_KEY, "RS256", "oct"),  # a secret that was published by mistake
        (WEAK_RSA_KEY, "RS256", "rsa"),  # somebody else's key
    ],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_token_that_the_published_keys_do_not_vouch_for_is_refused(
    key: Any, algorithm: str, kid: str | None
) -> None:
    with pytest.raises(UnauthenticatedError):
        await bearer(by_keys(), token(key, algorithm, kid))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_published_key_that_is_too_short_is_refused() -> None:
    with pytest.raises(UnauthenticatedError):
        await bearer(by_keys(), token(WEAK_RSA_KEY, "RS256", "weak"))


async def test_a_public_key_is_no_shared_secret() -> None:
    """The confusion of RFC 8725 section 2.1: what verifies RS256 must never verify HS256."""
    number = RSA_KEY.public_key().public_numbers().n.to_bytes(256, "big")

    with pytest.raises(UnauthenticatedError):
        await bearer(by_keys(), token(number, "HS256", "rsa"))


async def test_keys_that_cannot_be_fetched_are_not_the_callers_fault() -> None:
    def down() -> list[jwt.PyJWK]:
        raise OSError("down")

    with pytest.raises(UnavailableError):
        await bearer(by_keys(down), token(RSA_KEY, "RS256", "rsa"))


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "....", "ü", "\ud800", "x" * 20_000, "e30.e30.e30", "bnVsbA.e30.x"])
async def test_what_is_no_token_is_refused(text: str) -> None:
    for knows in (shared(), by_keys()):
        with pytest.raises(UnauthenticatedError):
            await bearer(knows, text)


@given(st.text() | st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode() + ".e30.x"))
async def test_no_text_is_anything_but_refused(text: str) -> None:
    for knows in (shared(), by_keys()):
        with pytest.raises(UnauthenticatedError):
            await bearer(knows, text)


@given(st.data())
async def test_a_token_changed_anywhere_is_refused(data: st.DataObject) -> None:
    good = token(SECRET, "HS256")
    # The last character of a base64 text may hold bits that mean nothing.
    place = data.draw(st.integers(0, len(good) - 2))
    other = data.draw(st.characters().filter(lambda c: c != good[place]))

    with pytest.raises(UnauthenticatedError) as caught:
        await bearer(shared(), good[:place] + other + good[place + 1 :])
    assert good[:20] not in str(caught.value)


def test_an_audience_is_needed() -> None:
    with pytest.raises(SettingsError, match="STREAM_JWT_AUDIENCE"):
        shared(audience=None)


def test_something_to_verify_with_is_needed() -> None:
    with pytest.raises(SettingsError, match="STREAM_JWT_SECRET"):
        BearerIdentity(Jwt(audience="us"), Clock())


def test_a_public_key_given_as_the_secret_is_refused() -> None:
    with pytest.raises(SettingsError, match="not a public key"):
        shared(secret="-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJB\n-----END PUBLIC KEY-----")


async def test_the_keys_are_those_at_the_url_unless_others_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwt.PyJWKClient, "get_signing_keys", lambda _: fetch())
    knows = BearerIdentity(Jwt(jwks_url=URL, audience="us"), Clock())

    assert (await bearer(knows, token(RSA_KEY, "RS256", "rsa"))).subject == "alice"
