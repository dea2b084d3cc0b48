"""``STREAM_SECRET``: a ring of secrets that signs what is given out and knows it again.

The first secret signs, all of them verify. To replace a secret put the new one first, and take the old one
out when nothing signed with it matters any more.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from streamsink.core.errors import SettingsError

__all__ = ["RING_EXPECTED", "RandomBytes", "SecretRing", "Signed"]

RandomBytes: TypeAlias = Callable[[int], bytes]
"""Returns that many unpredictable bytes: ``secrets.token_bytes``."""

_MIN_SECRET_CHARACTERS: Final = 32
# 128 bits: half of SHA-256's output, the least that RFC 2104 section 5 advises.
_MAC_BYTES: Final = 16
_MAX_SIGNED_CHARACTERS: Final = 4_096
_KID: Final = re.compile(r"[A-Za-z0-9]{1,16}")
_SIGNABLE: Final = re.compile(r"[A-Za-z0-9_~-]+")
RING_EXPECTED: Final = (
    "one secret of at least 32 characters, or several as 'kid:secret' separated by commas, newest first; "
    "kids are 1 to 16 letters or digits and all different"
)


@dataclass(frozen=True, slots=True)
class Signed:
    """A text that was signed here, and the kid of the secret that signed it."""

    text: str
    kid: str


class SecretRing:
    """Signs with its first secret, verifies with all.

    Every purpose has keys of its own, derived from the secrets, so that what was signed for one purpose means
    nothing for another. The secrets appear in no repr, no error and no pickle.

    Args:
        secrets: by kid, the one that signs first.

    Raises:
        SettingsError: a kid or a secret is not as STREAM_SECRET wants them, or there is none.
    """

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Mapping[str, str]) -> None:
        if not secrets or not all(_is_kid(kid) and _is_secret(secrets[kid]) for kid in secrets):
            raise SettingsError("STREAM_SECRET", RING_EXPECTED)
        self._secrets = {kid: secret.encode() for kid, secret in secrets.items()}

    @classmethod
    def parse(cls, text: str) -> SecretRing:
        """The ring that STREAM_SECRET describes: ``kid:secret,…``, or one bare secret, whose kid is ``0``.

        Raises:
            SettingsError: it does not; the text of the error has nothing of the value.
        """
        entries = [entry.strip() for entry in text.split(",")]
        if len(entries) == 1 and ":" not in entries[0]:
            return cls({"0": entries[0]})
        pairs = [entry.partition(":") for entry in entries]
        ring = {kid: secret for kid, _, secret in pairs}
        # A kid twice would silently drop a secret that somebody's cookies still need.
        return cls(ring if len(ring) == len(pairs) else {})

    @classmethod
    def generate(cls, random: RandomBytes) -> SecretRing:
        """A ring for the life of one process: what it signs nobody else can verify."""
        return cls({"0": _base64url(random(32))})

    @property
    def kids(self) -> tuple[str, ...]:
        """The kids, newest first, in the order of ``keys``."""
        return tuple(self._secrets)

    @property
    def kid(self) -> str:
        """The kid that signs."""
        return self.kids[0]

    def keys(self, purpose: str) -> tuple[bytes, ...]:
        """The purpose's keys, 32 bytes each, newest first: the first signs, all verify."""
        return tuple(_derive(secret, purpose) for secret in self._secrets.values())

    def mac(self, purpose: str, message: bytes) -> tuple[str, bytes]:
        """The kid that signs, and the 16 bytes that only this ring can make from ``message``."""
        return self.kid, self._mac(self.kid, purpose, message)

    def verify(self, purpose: str, message: bytes, kid: str, mac: bytes) -> bool:
        """Whether ``mac`` gave these bytes for this message; compares in constant time."""
        return kid in self._secrets and hmac.compare_digest(self._mac(kid, purpose, message), mac)

    def sign(self, purpose: str, text: str, *, context: str = "") -> str:
        """``text``, the kid and a MAC, joined by dots: URL-safe, and readable by anybody.

        Args:
            purpose: what the signature is for.
            text: letters, digits, ``_``, ``-`` and ``~``.
            context: signed with the text but not carried: whoever verifies must know it.

        Raises:
            ValueError: the text has other characters.
        """
        if not _SIGNABLE.fullmatch(text):
            raise ValueError("only letters, digits, '_', '-' and '~' can be signed as text")
        kid, mac = self.mac(purpose, _message(text, context))
        return f"{text}.{kid}.{_base64url(mac)}"

    def unsign(self, purpose: str, signed: str, *, context: str = "") -> Signed | None:
        """What ``sign`` signed for this purpose and context; None for everything else, whatever it is."""
        parts = signed.split(".", 3) if len(signed) <= _MAX_SIGNED_CHARACTERS and signed.isascii() else []
        if len(parts) != 3 or parts[1] not in self._secrets:
            return None
        text, kid, mac = parts
        # Compared as text: the decoder would accept several spellings of the same bytes.
        wanted = _base64url(self._mac(kid, purpose, _message(text, context)))
        return Signed(text, kid) if hmac.compare_digest(wanted, mac) else None

    def _mac(self, kid: str, purpose: str, message: bytes) -> bytes:
        return hmac.digest(_derive(self._secrets[kid], purpose), message, hashlib.sha256)[:_MAC_BYTES]

    def __repr__(self) -> str:
        return f"SecretRing(kids={list(self.kids)})"

    def __reduce__(self) -> str:
        raise TypeError("a SecretRing is not pickled: its secrets stay in this process")


def _derive(secret: bytes, purpose: str) -> bytes:
    return hmac.digest(secret, b"streamsink key for " + purpose.encode(), hashlib.sha256)


def _message(text: str, context: str) -> bytes:
    # Unambiguous, since a signable text has no dot.
    return f"{text}.{context}".encode()


def _is_kid(kid: str) -> bool:
    return _KID.fullmatch(kid) is not None


def _is_secret(secret: str) -> bool:
    return len(secret) >= _MIN_SECRET_CHARACTERS and secret.isprintable() and " " not in secret


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
