"""Connection tokens as text: who may use which connection until when, and a MAC over that. Sans-IO."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamsink.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SignedToken", "TokenSigner"]

_MIN_KEY_BYTES: Final = 32
# 128 bits: half of SHA-256's output, the least that RFC 2104 section 5 advises; 22 characters.
_MAC_BYTES: Final = 16
_MAX_CHARACTERS: Final = 128
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]{1,64})\.([0-9]{1,15})\.([A-Za-z0-9_-]{22})")
# In front of what is signed, so that a MAC that the same key makes for anything else is none of ours.
_PURPOSE: Final = "streamsink connection token 1"


@dataclass(frozen=True, slots=True)
class SignedToken:
    """What a token says.

    Args:
        connection_id: public; the token itself, where that is no secret.
        expires_ms: since 1970, on the clock of who signed it.
    """

    connection_id: str
    expires_ms: int


class TokenSigner:
    """Signs tokens ``<id>.<expiry in ms>.<mac>``, and knows them again.

    They are URL-safe, and short enough to be connection ids.

    Args:
        keys: the first signs, all verify; each at least 32 bytes.

    Raises:
        SettingsError: no key, or a short one.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or min(map(len, keys)) < _MIN_KEY_BYTES:
            raise SettingsError("STREAM_SECRET", f"one or more keys of at least {_MIN_KEY_BYTES} bytes")
        self._keys = tuple(keys)

    def sign(self, connection_id: str, expires_ms: int, *, hub: str, user_id: str | None, is_secret: bool) -> str:
        """A token.

        Args:
            connection_id: contained in the token: base64url, up to 64 characters.
            expires_ms: since 1970.
            hub: for this hub only.
            user_id: for this user only; None: the anonymous one.
            is_secret: False: the whole token is the public connection id (negotiate version 0).

        Raises:
            ValueError: not such an id or time: nobody would accept the token.
        """
        text = str(expires_ms)
        token = f"{connection_id}.{text}.{_mac(self._keys[0], connection_id, text, hub, user_id, is_secret)}"
        if not _TOKEN.fullmatch(token):
            raise ValueError("a connection id in a token is 1 to 64 letters, digits, '_' and '-'")
        return token

    def verify(self, token: str, *, hub: str, user_id: str | None) -> SignedToken | None:
        """What was signed for this hub and user, however long ago; None for everything else."""
        found = _TOKEN.fullmatch(token) if len(token) <= _MAX_CHARACTERS else None
        if found is None:
            return None
        connection_id, expires, mac = found.groups()
        for key in self._keys:
            for is_secret in (True, False):
                # Compared as text: the decoder would accept several spellings of the same bytes.
                if hmac.compare_digest(_mac(key, connection_id, expires, hub, user_id, is_secret), mac):
                    return SignedToken(connection_id if is_secret else token, int(expires))
        return None


def _mac(key: bytes, connection_id: str, expires: str, hub: str, user_id: str | None, is_secret: bool) -> str:
    # JSON says where each part ends and tells null from "", whatever is in them.
    message = json.dumps([_PURPOSE, connection_id, expires, hub, user_id, is_secret]).encode("ascii")
    mac = hmac.digest(key, message, hashlib.sha256)[:_MAC_BYTES]
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode("ascii")
