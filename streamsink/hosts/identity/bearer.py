"""Bearers of a JSON Web Token (RFC 6750, RFC 7519), signed with a shared secret or with published keys."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import jwt

from streamsink.core.auth_settings import PUBLISHED_KEY_ALGORITHMS, Jwt
from streamsink.core.errors import SettingsError, UnauthenticatedError
from streamsink.core.identity import User
from streamsink.hosts.identity.published_keys import PublishedKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streamsink.core.identity import Request

__all__ = ["BearerIdentity"]

LEEWAY_S: Final = 30
"""How far the clocks of whoever signs and of this host may be apart."""

_MAX_TOKEN_CHARACTERS: Final = 16_384
_MAX_SUBJECT_CHARACTERS: Final = 1_000


class BearerIdentity:
    """Knows the bearer of a valid token as its ``sub``, within its ``iss``.

    A token is valid when one of the allowed algorithms and the right key signed it, it has not expired
    (``exp``), its time has come (``nbf``), its audience is ours, and its issuer is the one wanted. An
    unsigned one never is.

    Args:
        settings: what is wanted; with an audience.
        clock: seconds since 1970.
        keys: the published keys, when not those at ``settings.jwks_url``.

    Raises:
        SettingsError: there is no audience, no key, or the secret is really a public key.
        MissingExtraError: published keys need a package that is not installed.
    """

    __slots__ = ("_clock", "_keys", "_settings")

    def __init__(self, settings: Jwt, clock: Callable[[], float], *, keys: PublishedKeys | None = None) -> None:
        if settings.audience is None:
            raise SettingsError("STREAM_JWT_AUDIENCE", "set: tokens made for others must not be good here")
        if settings.secret is not None:
            _check_secret(settings.secret)
        elif keys is None:
            keys = _published(settings, clock)
        self._settings = settings
        self._clock = clock
        self._keys = keys

    async def __call__(self, request: Request) -> User | None:
        """The bearer; None when the request has no bearer token.

        Raises:
            UnauthenticatedError: the token is not valid.
            UnavailableError: the published keys cannot be fetched.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        claims = self._verified(token.strip(), await self._key(token.strip()))
        self._check_time(claims)
        return _user(claims)

    async def _key(self, token: str) -> Any:
        if self._settings.secret is not None:
            return self._settings.secret
        header = _header(token)
        kid, needed = header.get("kid"), PUBLISHED_KEY_ALGORITHMS.get(str(header.get("alg")))
        if self._keys is None or not isinstance(kid, str) or needed is None:
            raise _refused()
        key = await self._keys.find(kid)
        if key.key_type != needed:
            raise _refused()
        return key.key

    def _verified(self, token: str, key: Any) -> Mapping[str, Any]:
        try:
            return jwt.decode(
                token if len(token) <= _MAX_TOKEN_CHARACTERS else "",
                key,
                algorithms=list(self._settings.allowed_algorithms),
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                # Times are compared with our own clock, below.
                options={
                    "require": ["exp", "aud", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "enforce_minimum_key_length": True,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            # Without its cause: what is wrong with a token is nobody's business who has a wrong one.
            raise _refused() from None

    def _check_time(self, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        if now >= _seconds(claims["exp"]) + LEEWAY_S:
            raise UnauthenticatedError("the bearer token has expired; get a new one")
        if "nbf" in claims and now < _seconds(claims["nbf"]) - LEEWAY_S:
            raise UnauthenticatedError("the bearer token is not valid yet")


def _check_secret(secret: str) -> None:
    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(secret)
    except jwt.InvalidKeyError:
        raise SettingsError("STREAM_JWT_SECRET", "a secret, not a public key: use STREAM_JWT_JWKS_URL") from None


def _published(settings: Jwt, clock: Callable[[], float]) -> PublishedKeys:
    if settings.jwks_url is None:
        raise SettingsError("STREAM_JWT_SECRET", "set, or STREAM_JWT_JWKS_URL")
    return PublishedKeys(settings.jwks_url, clock)


def _header(token: str) -> dict[str, Any]:
    try:
        return jwt.get_unverified_header(token if len(token) <= _MAX_TOKEN_CHARACTERS else "")
    except (jwt.PyJWTError, ValueError):
        raise _refused() from None


def _user(claims: Mapping[str, Any]) -> User:
    subject, issuer = claims["sub"], claims.get("iss", "jwt")
    if not isinstance(issuer, str) or not isinstance(subject, str):
        raise _refused()
    if not 1 <= len(subject) <= _MAX_SUBJECT_CHARACTERS:
        raise _refused()
    return User(subject=subject, issuer=issuer)


def _seconds(claim: object) -> float:
    # RFC 7519 section 2, NumericDate: a number. Python would take JSON's true for one.
    if isinstance(claim, bool) or not isinstance(claim, int | float) or not math.isfinite(claim):
        raise _refused()
    return claim


def _refused() -> UnauthenticatedError:
    return UnauthenticatedError("the bearer token is not valid here")
