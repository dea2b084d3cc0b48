"""Client access tokens: signed (HS256) statements of who may connect where. Sans-IO."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import jwt

from streamsink.backends.gateway.negotiate import client_url
from streamsink.core.errors import SettingsError, TooLargeError, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

__all__ = ["AccessTokens", "Place"]

MAX_TOKEN_CHARS: Final = 4096
_MIN_KEY_BYTES: Final = 32  # RFC 7518 §3.2: at least the size of the hash
_CLOCK_DIFFERENCE_S: Final = 60  # between hosts; why a fresh token's nbf lies in the past

# Our own checks follow an injected clock and Azure's idea of an audience; PyJWT checks the signature.
_SIGNATURE_ONLY: Final[Any] = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where clients connect: scheme (empty: any), host in lower case and the decoded path ``…/client``."""

    scheme: str
    host: str
    path: str

    @classmethod
    def of_url(cls, url: str) -> Place:
        """What a URL names; its port and query do not count (some producers drop the one and add the other).

        Raises:
            ValueError: it is not a URL.
        """
        parts = urlsplit(url)
        return cls(parts.scheme, parts.hostname or "", unquote(parts.path).rstrip("/"))

    @classmethod
    def of_request(cls, host: str, path: str) -> Place:
        """Where a request arrived: its ``Host`` header and decoded path. A proxy may have ended its TLS."""
        try:
            return cls("", urlsplit(f"//{host}").hostname or "", path)
        except ValueError:
            return cls("", "", path)

    def matches(self, other: Place) -> bool:
        """Whether a token for ``other`` is good here."""
        same_scheme = not self.scheme or self.scheme == other.scheme
        return same_scheme and (self.host, self.path) == (other.host, other.path)


class AccessTokens:
    """Mints and verifies.

    Args:
        keys: the first signs, all verify; each at least 32 bytes.
        clock: seconds since 1970.
        lifetime_s: of a minted token.
        base_urls: those under which clients reach the gateway; empty: the host and prefix they asked for.

    Raises:
        SettingsError: no key, or a short one.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        *,
        clock: Callable[[], float],
        lifetime_s: int = 3600,
        base_urls: Collection[str] = (),
    ) -> None:
        if not keys or min(map(len, keys)) < _MIN_KEY_BYTES:
            raise SettingsError("STREAM_SECRET", f"one or more keys of at least {_MIN_KEY_BYTES} bytes")
        self._keys = tuple(keys)
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._places = tuple(Place.of_url(f"{base_url}/client") for base_url in base_urls)

    def mint(self, user_id: str | None, *, base_url: str, hub: str, lifetime_s: int | None = None) -> str:
        """A token with which ``user_id`` (None: somebody anonymous) may connect to ``hub``."""
        now = int(self._clock())
        claims = {
            "aud": client_url(base_url, hub),
            "iat": now,
            "nbf": now - _CLOCK_DIFFERENCE_S,
            "exp": now + (lifetime_s or self._lifetime_s),
        }
        if user_id is not None:
            claims["nameid"] = user_id
        return jwt.encode(claims, self._keys[0], algorithm="HS256")

    def verify(self, token: str, *, hub: str, asked: Place) -> str | None:
        """Whose token it is; None: nobody's in particular.

        Args:
            token: as it came.
            hub: the hub that the client asks for.
            asked: where it asked.

        Raises:
            UnauthenticatedError: it does not allow that; the text is fit for a client and has no quotes.
            TooLargeError: it is too long to be looked at.
        """
        claims = self.claims(token)
        if not _is_for(claims.get("aud"), hub, self._places or (asked,)):
            raise UnauthenticatedError("The audience is invalid")
        return _user_id(claims)

    def claims(self, token: str) -> dict[str, Any]:
        """What a token says that is ours and good now; whom and what it is for is not looked at.

        Raises:
            UnauthenticatedError, TooLargeError: as :meth:`verify`.
        """
        if len(token) > MAX_TOKEN_CHARS:
            raise TooLargeError("The access token is too long.")
        claims = self._signed_claims(token)
        self._check_times(claims)
        return claims

    def _signed_claims(self, token: str) -> dict[str, Any]:
        for key in self._keys:
            try:
                return jwt.decode(token, key, algorithms=["HS256"], options=_SIGNATURE_ONLY)
            except (jwt.PyJWTError, ValueError, RecursionError):
                continue
        raise UnauthenticatedError("The signature is invalid")

    def _check_times(self, claims: dict[str, Any]) -> None:
        now = self._clock()
        # Written so that what is no number, and NaN, are refused too.
        if not now < _number(claims.get("exp")):
            raise UnauthenticatedError("The token expired")
        if not _number(claims.get("nbf", now)) <= now:
            raise UnauthenticatedError("The token is not yet valid")


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _is_for(audience: Any, hub: str, places: Collection[Place]) -> bool:
    if not isinstance(audience, str):
        return False
    try:
        said = Place.of_url(audience)
        hubs = parse_qs(urlsplit(audience).query, keep_blank_values=True).get("hub")
    except ValueError:
        return False
    return hubs == [hub] and any(place.matches(said) for place in places)


def _user_id(claims: dict[str, Any]) -> str | None:
    for name in ("asrs.s.uid", "nameid", "sub"):
        value = claims.get(name)
        if isinstance(value, str) and value:
            return value
    return None
