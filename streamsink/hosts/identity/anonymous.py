"""Everybody is somebody: a signed cookie makes each browser a user of its own, without a login."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from streamsink.core.identity import User

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamsink.core.identity import Request
    from streamsink.core.secrets import RandomBytes, SecretRing

__all__ = ["COOKIE", "AnonymousIdentity"]

COOKIE: Final = "streamsink_user"
LIFETIME_S: Final = 365 * 86_400
RENEWAL_S: Final = 30 * 86_400
_PURPOSE: Final = "anonymous cookie"
_SUBJECT_BYTES: Final = 16


class AnonymousIdentity:
    """Knows everybody: by the cookie, or else as a fresh user whose ``response_headers`` set it.

    The cookie lasts a year from its last renewal; one that is older than 30 days, or signed with an older
    secret, is renewed for the same user. It is HttpOnly and SameSite=Lax: pages of other sites cannot use it.

    Args:
        ring: signs the cookie. A user whose secret leaves the ring becomes a fresh one.
        clock: seconds since 1970.
        random: makes users unguessable.
        is_secure: whether a request came over https: then the cookie is for https only.
    """

    __slots__ = ("_clock", "_is_secure", "_random", "_ring")

    def __init__(
        self,
        ring: SecretRing,
        clock: Callable[[], float],
        random: RandomBytes,
        *,
        is_secure: Callable[[Request], bool],
    ) -> None:
        self._ring = ring
        self._clock = clock
        self._random = random
        self._is_secure = is_secure

    def __call__(self, request: Request) -> User:
        """Who is calling. A cookie that is missing, wrong or expired is nobody's: it makes a fresh user."""
        subject, is_fresh = self._known(request.cookies.get(COOKIE, ""))
        if subject is None:
            subject = base64.urlsafe_b64encode(self._random(_SUBJECT_BYTES)).rstrip(b"=").decode()
        headers = () if is_fresh else (("set-cookie", self._cookie(subject, request)),)
        return User(subject=subject, issuer="anonymous", response_headers=headers)

    def _known(self, cookie: str) -> tuple[str | None, bool]:
        """The cookie's subject, and whether the cookie can stay as it is."""
        signed = self._ring.unsign(_PURPOSE, cookie)
        if signed is None:
            return None, False
        subject, _, issued = signed.text.partition("~")
        age_s = self._clock() - int(issued)
        if age_s > LIFETIME_S:
            return None, False
        return subject, age_s <= RENEWAL_S and signed.kid == self._ring.kid

    def _cookie(self, subject: str, request: Request) -> str:
        value = self._ring.sign(_PURPOSE, f"{subject}~{int(self._clock())}")
        attributes = f"Path=/; Max-Age={LIFETIME_S}; HttpOnly; SameSite=Lax"
        return f"{COOKIE}={value}; {attributes}{'; Secure' if self._is_secure(request) else ''}"
