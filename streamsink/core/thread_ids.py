"""Thread ids that prove whose they are."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from streamsink.core.secrets import RandomBytes, SecretRing

__all__ = ["ThreadIds"]

_PURPOSE: Final = "thread id"
_RANDOM_BYTES: Final = 16


class ThreadIds:
    """Mints ids that nobody can guess, and that any host with the same secrets can verify without a store.

    Args:
        ring: signs the ids. A thread whose secret leaves the ring is nobody's.
        random: makes them unguessable.
    """

    __slots__ = ("_random", "_ring")

    def __init__(self, ring: SecretRing, random: RandomBytes) -> None:
        self._ring = ring
        self._random = random

    def mint(self, owner_id: str) -> str:
        """A new id for the user with this ``User.id``: URL-safe, without ``..``, at most 62 characters."""
        unguessable = base64.urlsafe_b64encode(self._random(_RANDOM_BYTES)).rstrip(b"=").decode()
        return self._ring.sign(_PURPOSE, unguessable, context=owner_id)

    def is_minted_for(self, thread: str, owner_id: str) -> bool:
        """Whether ``mint`` made it for this user; False for every other text."""
        return self._ring.unsign(_PURPOSE, thread, context=owner_id) is not None
