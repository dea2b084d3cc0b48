"""Back offices, known by a key."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from streamsink.core.errors import UnauthenticatedError
from streamsink.core.identity import User

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamsink.core.identity import Request

__all__ = ["HEADER", "ServiceKeyIdentity"]

HEADER: Final = "x-stream-service-key"


class ServiceKeyIdentity:
    """Knows callers who show a service key: all are one service user, whichever key they show.

    Args:
        keys: those accepted, any number, so that one can be replaced; none: nobody has the right one.
    """

    __slots__ = ("_digests",)

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple(_digest(key) for key in keys)

    def __call__(self, request: Request) -> User | None:
        """The service user; None without the header. Takes as long whichever key it is, or none.

        Raises:
            UnauthenticatedError: the key is wrong.
        """
        shown = request.headers.get(HEADER)
        if shown is None:
            return None
        digest = _digest(shown)
        # Every key is compared, so that time does not tell which one matched.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if True not in matches:
            raise UnauthenticatedError(f"the key in {HEADER} is not one of this deployment's")
        return User(subject="service", issuer="service key", is_service=True)


def _digest(key: str) -> bytes:
    # Of one length, so that time does not tell the key's.
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()
