"""Who may connect and who may call: tokens signed with an access key. Sans-IO."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from streamsink.backends.gateway.tokens import AccessTokens, Place
from streamsink.core.errors import SettingsError, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ServiceTokens"]

_MIN_KEY_CHARS: Final = 32
_USUAL_LIFE_S: Final = 3600  # of a token that does not say when it was issued


class ServiceTokens(AccessTokens):
    """Verifies what clients and callers of the REST API show; an unknown ``kid`` is ignored.

    Args:
        keys: access keys, as the connection string has them; the first signs, all verify.
        clock: seconds since 1970. No difference between clocks is allowed for.
        base_urls: where the service is reached; their ports do not count.

    Raises:
        SettingsError: no key, or a short one.
    """

    def __init__(self, keys: Sequence[str], *, clock: Callable[[], float], base_urls: Sequence[str]) -> None:
        if not keys or min(map(len, keys)) < _MIN_KEY_CHARS:
            raise SettingsError("AccessKey", f"at least {_MIN_KEY_CHARS} characters")
        super().__init__([key.encode() for key in keys], clock=clock, base_urls=base_urls)
        self._endpoints = tuple(Place.of_url(base_url) for base_url in base_urls)
        self._expired_until = -math.inf

    def rotate(self, key: str) -> None:
        """Sign with a new key; the one before stays good, older ones do not."""
        if len(key) < _MIN_KEY_CHARS:
            raise SettingsError("AccessKey", f"at least {_MIN_KEY_CHARS} characters")
        self._keys = (key.encode(), self._keys[0])

    def expire_issued(self) -> None:
        """Refuse from now on every token issued until now. Tokens say when in whole seconds, so those of the second
        that has begun are refused too."""
        self._expired_until = math.floor(self._clock())

    def check_call(self, token: str, path: str) -> None:
        """Let a caller of the REST API in.

        Args:
            token: empty: none.
            path: of the request, as it came.

        Raises:
            UnauthenticatedError, TooLargeError: it is not good for this path.
        """
        if not token:
            raise UnauthenticatedError
        audience = self.claims(token).get("aud")
        if not isinstance(audience, str) or not self._is_meant_for(audience, path):
            raise UnauthenticatedError("The audience is invalid")

    def _is_meant_for(self, audience: str, path: str) -> bool:
        try:
            said = Place.of_url(audience)
        except ValueError:
            return False
        wanted = unquote(path).rstrip("/")
        return any(said == Place(place.scheme, place.host, wanted) for place in self._endpoints)

    def _check_times(self, claims: dict[str, Any]) -> None:
        super()._check_times(claims)
        issued = claims.get("iat")
        if not isinstance(issued, int | float):
            issued = claims["exp"] - _USUAL_LIFE_S
        if issued <= self._expired_until:
            raise UnauthenticatedError("The token expired")
