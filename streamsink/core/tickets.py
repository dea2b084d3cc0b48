"""Sharing: a ticket lets whoever shows it do something on one thread for a while."""

from __future__ import annotations

import base64
import binascii
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

import msgspec

from streamsink.core.errors import ForbiddenError, InvalidRequestError
from streamsink.core.identity import Action
from streamsink.core.names import THREAD_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from streamsink.core.secrets import SecretRing

__all__ = ["MAX_LIFETIME_S", "Ticket", "Tickets"]

MAX_LIFETIME_S: Final = 30 * 86_400
_PURPOSE: Final = "ticket"
_ACTIONS: Final = frozenset[Action](get_args(Action))


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket allows.

    Args:
        thread: where.
        actions: what.
        expires: until when, in seconds since 1970.
    """

    thread: str
    actions: frozenset[Action]
    expires: int


class Tickets:
    """Writes and reads tickets. A ticket is a bearer's: it cannot be taken back, so it always expires.

    Args:
        ring: signs them.
        clock: seconds since 1970.
    """

    __slots__ = ("_clock", "_decode", "_encode", "_ring")

    def __init__(self, ring: SecretRing, clock: Callable[[], float]) -> None:
        self._ring = ring
        self._clock = clock
        self._encode = msgspec.msgpack.Encoder(order="sorted").encode
        self._decode = msgspec.msgpack.Decoder(Ticket).decode

    def mint(self, thread: str, actions: Collection[Action], lifetime_s: float) -> str:
        """A ticket as text: URL-safe, at most 600 characters.

        Args:
            thread: where it is good.
            actions: what it allows, at least one action.
            lifetime_s: how long, in seconds: 1 to 30 days.

        Raises:
            InvalidRequestError: the thread id, the actions or the lifetime are not such.
        """
        if not actions or not _ACTIONS.issuperset(actions):
            raise InvalidRequestError(f"a ticket's actions should be some of {', '.join(sorted(_ACTIONS))}")
        if not 1 <= lifetime_s <= MAX_LIFETIME_S:
            raise InvalidRequestError(f"a ticket's lifetime should be 1 to {MAX_LIFETIME_S} seconds")
        ticket = Ticket(THREAD_ID.validate(thread), frozenset(actions), math.ceil(self._clock() + lifetime_s))
        return self._ring.sign(_PURPOSE, base64.urlsafe_b64encode(self._encode(ticket)).rstrip(b"=").decode())

    def verify(self, text: str) -> Ticket:
        """The ticket that ``mint`` wrote.

        Raises:
            ForbiddenError: it has expired, or was not written here.
        """
        ticket = self._read(text)
        if ticket is None or ticket.expires <= self._clock():
            raise ForbiddenError("the ticket has expired or is not valid here; ask for a new one")
        return ticket

    def _read(self, text: str) -> Ticket | None:
        signed = self._ring.unsign(_PURPOSE, text)
        if signed is None:
            return None
        padded = signed.text + "=" * (-len(signed.text) % 4)
        try:
            return self._decode(base64.urlsafe_b64decode(padded))
        except (binascii.Error, msgspec.MsgspecError):
            # Ours, but of another version of this package.
            return None
