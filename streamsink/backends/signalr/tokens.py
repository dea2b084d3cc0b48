"""Tokens signed with the service's access keys. Sans-IO.

Source: the service's REST reference (``exp`` and ``aud`` are needed, HS256) and its SDK (``nameid``, ``kid``).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import jwt

from streamsink.backends.gateway.negotiate import client_url
from streamsink.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamsink.core.identity import User

__all__ = ["KeyRing", "client_audience", "signalr_user_id"]

_CLOCK_DIFFERENCE_S: Final = 60  # between hosts; why a fresh token's nbf lies in the past
_REST_LIFETIME_S: Final = 3_600  # the SDK's


def signalr_user_id(user: User) -> str:
    """The user id that the service knows somebody by: opaque, as everywhere else."""
    return user.id


def client_audience(endpoint: str, hub: str) -> str:
    """What a client's token is for; of the Endpoint, as in the SDK, wherever clients connect.

    Args:
        endpoint: base URL.
        hub: in lower case.
    """
    return client_url(endpoint, hub)


class KeyRing:
    """One or two keys. The first signs, until the service refuses it and the second has not been tried.

    While a key is being regenerated, a service accepts only the other: whoever has both goes on.

    Args:
        keys: UTF-8 bytes of the access keys.
        clock: seconds since 1970.

    Raises:
        SettingsError: no key.
    """

    def __init__(self, keys: Sequence[bytes], *, clock: Callable[[], float]) -> None:
        if not keys:
            raise SettingsError("STREAM_SIGNALR_CONNECTION_STRING", "a connection string with an AccessKey")
        self._keys = [(hashlib.sha256(key).hexdigest()[:16], key) for key in dict.fromkeys(keys)]
        self._current = 0
        self._clock = clock

    def rest_token(self, audience: str) -> str:
        """A token for one REST call.

        Args:
            audience: its URL as sent, escaped, without the query.
        """
        return self._sign(audience, _REST_LIFETIME_S, {})

    def client_token(self, audience: str, user_id: str, *, lifetime_s: int) -> str:
        """A token with which a client connects as ``user_id``."""
        return self._sign(audience, lifetime_s, {"nameid": user_id})

    def refused(self, token: str) -> bool:
        """The service refused this token's signature: whether one made now would have another key."""
        kid: str = jwt.get_unverified_header(token)["kid"]
        if kid == self._keys[self._current][0]:
            self._current = (self._current + 1) % len(self._keys)
        return kid != self._keys[self._current][0]

    def _sign(self, audience: str, lifetime_s: int, claims: dict[str, Any]) -> str:
        now = int(self._clock())
        times = {"iat": now, "nbf": now - _CLOCK_DIFFERENCE_S, "exp": now + lifetime_s}
        kid, key = self._keys[self._current]
        return jwt.encode({"aud": audience, **times, **claims}, key, algorithm="HS256", headers={"kid": kid})
