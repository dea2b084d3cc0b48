"""Negotiated connections: the ids that clients come back with.

A *connection id* is public (join-group names it); what a client shows to connect is its *connection token*,
which is the id itself in negotiate version 0. To the gateway a token is opaque.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from streamsink.core.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ConnectionTokens", "InProcessConnectionTokens", "Issued", "TokenState", "new_id"]

UNKNOWN: Final = "No Connection with that ID"

TokenState: TypeAlias = Literal["unknown", "waiting", "connected"]


def new_id() -> str:
    """An unguessable id: 22 URL-safe characters, as the reference server makes them."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class Issued:
    """A negotiated connection.

    Args:
        connection_id: public.
        token: connects.
    """

    connection_id: str
    token: str


class ConnectionTokens(ABC):
    """Issues connection tokens; each is good once, soon, for the user and the hub it was issued to."""

    @abstractmethod
    async def issue(self, *, hub: str, user_id: str | None, is_secret: bool) -> Issued:
        """A new connection id and its token.

        Args:
            hub: the hub.
            user_id: whose it is, None: anonymous.
            is_secret: whether the token differs from the id (negotiate version 1).
        """

    @abstractmethod
    async def claim(self, token: str, *, hub: str, user_id: str | None) -> str:
        """Use a token; returns its connection id.

        Raises:
            NotFoundError: unknown, too old, or somebody else's.
            ConflictError: in use.
            UnavailableError: it cannot be told.
        """

    @abstractmethod
    async def state(self, token: str, *, hub: str, user_id: str | None) -> TokenState:
        """What a token of this user and hub is good for."""

    @abstractmethod
    async def release(self, token: str) -> None:
        """The connection of a claimed token is over; it cannot be used again. Again is no error."""


class _Entry(msgspec.Struct, frozen=True, gc=False):
    connection_id: str
    owner: tuple[str, str | None]
    expires: float


class InProcessConnectionTokens(ConnectionTokens):
    """The tokens of one process.

    Args:
        clock: seconds, never going back.
        make_id: a fresh unguessable id.
        life_s: from negotiate to connect.
        max_waiting: tokens that may wait; past that the oldest is forgotten. Honest clients survive a flood
            better so than if new ones were refused: they connect milliseconds after their negotiate.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        make_id: Callable[[], str] = new_id,
        life_s: float = 15.0,
        max_waiting: int = 10_000,
    ) -> None:
        self._clock = clock
        self._make_id = make_id
        self._life_s = life_s
        self._max_waiting = max_waiting
        self._waiting: dict[str, _Entry] = {}  # oldest first
        self._connected: dict[str, _Entry] = {}

    def __len__(self) -> int:
        """How many are waiting."""
        self._forget_expired()
        return len(self._waiting)

    async def issue(self, *, hub: str, user_id: str | None, is_secret: bool) -> Issued:
        self._forget_expired()
        if len(self._waiting) >= self._max_waiting:
            del self._waiting[next(iter(self._waiting))]
        connection_id = self._make_id()
        token = self._make_id() if is_secret else connection_id
        self._waiting[token] = _Entry(connection_id, (hub, user_id), self._clock() + self._life_s)
        return Issued(connection_id, token)

    async def claim(self, token: str, *, hub: str, user_id: str | None) -> str:
        state = await self.state(token, hub=hub, user_id=user_id)
        if state == "unknown":
            raise NotFoundError(UNKNOWN)
        if state == "connected":
            raise ConflictError("The connection is already in use")
        entry = self._connected[token] = self._waiting.pop(token)
        return entry.connection_id

    async def state(self, token: str, *, hub: str, user_id: str | None) -> TokenState:
        self._forget_expired()
        entry = self._waiting.get(token) or self._connected.get(token)
        if entry is None or entry.owner != (hub, user_id):
            return "unknown"
        return "waiting" if token in self._waiting else "connected"

    async def release(self, token: str) -> None:
        self._connected.pop(token, None)

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._waiting:
            token, entry = next(iter(self._waiting.items()))
            if now < entry.expires:
                return
            del self._waiting[token]
