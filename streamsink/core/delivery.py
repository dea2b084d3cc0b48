"""The delivery contract: carrying appended events to the connections of a group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from streamsink.core.events import Event
    from streamsink.core.identity import User

__all__ = ["ConnectInfo", "Delivery", "ListsMembers", "ServesClients", "ServesSockets", "Subscribes"]

ASGIApp: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class ConnectInfo:
    """Where a SignalR client connects, and the token it shows there."""

    url: str
    access_token: str


class Delivery(ABC):
    """Groups of client connections, one group per thread.

    Delivery is at least once, in order per producer. Total order, duplicates and holes are the reducer's work.
    """

    @abstractmethod
    async def deliver(self, thread: str, events: Sequence[Event]) -> None:
        """Carry consecutive events to the group. The same events may be given again.

        Raises:
            UnavailableError: they may not have arrived; they are given again, not before its ``retry_after_s``.
            PartlyDeliveredError: … but for the first few; those that follow are given again, these are not.
        """

    @abstractmethod
    async def join(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        """Add a connection; returns when the next append reaches it. Again is no error.

        Args:
            user_id: whose connection it must be, where the transport can tell; None: anybody's.

        Raises:
            ConnectionGoneError: there is no such connection.
            ForbiddenError: it is somebody else's.
            UnavailableError: the transport cannot be reached.
        """

    @abstractmethod
    async def leave(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        """Remove a connection; one that is not there is no error.

        Raises:
            ForbiddenError, UnavailableError: as ``join``.
        """

    @abstractmethod
    async def dissolve(self, thread: str) -> None:
        """Remove every connection from the group."""

    @abstractmethod
    async def connect_info(self, user: User, base_url: str) -> ConnectInfo:
        """Where ``user`` connects.

        Args:
            base_url: absolute, of this host, with the prefix that it is mounted under and no slash at the end.

        Raises:
            UnavailableError: the token comes from somebody who cannot be reached.
        """

    @abstractmethod
    async def check(self) -> None:
        """Return when a delivery can succeed.

        Raises:
            UnavailableError: why it cannot.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Release everything; idempotent."""


class ServesClients(ABC):
    """An ability: clients connect to this process, through the host that mounts ``client_app``."""

    @property
    @abstractmethod
    def client_app(self) -> ASGIApp:
        """The ASGI application for ``/client`` and everything below it; it has no lifespan of its own."""

    @abstractmethod
    async def drain(self) -> None:
        """Tell every client to reconnect, and refuse new ones."""


class ServesSockets(ABC):
    """An ability: a host that owns its sockets hands clients' WebSockets over, past ASGI and at half its cost."""

    @abstractmethod
    def takes_socket(self, path: str) -> bool:
        """Whether upgrades at this decoded path may be handed over; others belong to the host's application."""

    @abstractmethod
    def socket_protocol(self, on_lost: Callable[[asyncio.Protocol], None]) -> asyncio.Protocol:
        """The protocol of one connection. It is given the whole upgrade request first, and answers it itself.

        It has ``shutdown()``, which asks the client to reconnect and ends the connection.

        Args:
            on_lost: called with it when the connection is over.
        """


class Subscribes(ABC):
    """An ability: events can be followed in this process, without a client connection."""

    @abstractmethod
    def subscribe(self, thread: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Every event delivered to the thread from now on, as a bounded queue.

        Raises:
            StreamOverflowError: out of the iterator, when the reader could not keep up.
        """


class ListsMembers(ABC):
    """An ability: a group's connections can be listed."""

    @abstractmethod
    async def members(self, thread: str) -> list[str]:
        """The ids of the connections in the group, in no particular order."""
