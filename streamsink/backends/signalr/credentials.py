"""What proves to Azure SignalR Service who calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamsink.backends.signalr.tokens import KeyRing

__all__ = ["Credentials", "KeyCredentials"]


class Credentials(ABC):
    """Gives tokens. Safe to be used from several threads and event loops at once."""

    @abstractmethod
    async def rest_token(self, audience: str) -> str:
        """A bearer token for one REST call.

        Args:
            audience: the call's URL as sent, without the query.

        Raises:
            UnavailableError: there is none to be had.
        """

    @abstractmethod
    def refused(self, token: str) -> bool:
        """The service answered 401 to this token. Whether to try once more: the next one will be another."""

    @abstractmethod
    def client_token(self, audience: str, user_id: str, *, lifetime_s: int) -> str | None:
        """A token with which a client connects as ``user_id``; None: the service has to make it."""


class KeyCredentials(Credentials):
    """Access keys: every token is made here."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    async def rest_token(self, audience: str) -> str:
        return self._keys.rest_token(audience)

    def refused(self, token: str) -> bool:
        return self._keys.refused(token)

    def client_token(self, audience: str, user_id: str, *, lifetime_s: int) -> str | None:
        return self._keys.client_token(audience, user_id, lifetime_s=lifetime_s)
