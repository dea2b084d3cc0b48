"""The hubs of the twin: implicit, as Azure's are, and with users' memberships. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamsink.backends.gateway.audience import EVERYBODY, Audience
from streamsink.backends.gateway.hub import Hub
from streamsink.backends.gateway.transport import Severable
from streamsink.backends.signalr.twin.user_groups import UserGroups

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamsink.backends.gateway.frame import HubProtocol
    from streamsink.backends.gateway.transport import Transport

__all__ = ["Client", "Hubs", "TwinHub"]


@dataclass(frozen=True, slots=True, order=True)
class Client:
    """A connection, and whose it is."""

    connection_id: str
    user_id: str | None


class TwinHub(Hub):
    """A hub whose users may be members of groups, whether or not they are connected.

    Args:
        user_groups: those memberships.
    """

    def __init__(self, user_groups: UserGroups) -> None:
        super().__init__()
        self._user_groups = user_groups

    def connect(self, connection_id: str, user_id: str | None, *, protocol: HubProtocol, transport: Transport) -> None:
        """Add a connection whose handshake is over, also to the groups that its user is a member of."""
        super().connect(connection_id, user_id, protocol=protocol, transport=transport)
        for group in self._user_groups.of(user_id):
            self.join(group, connection_id)

    def clients(self, of: Audience = EVERYBODY) -> list[Client]:
        """The connections that are meant, those that connected first in front."""
        return [Client(member.connection_id, member.user_id) for member in self._meant(of)]

    def leave_all(self, connection_id: str) -> None:
        """Remove a connection from every group; one that is not there is no error."""
        for member in self._meant(Audience(connection_id=connection_id)):
            for group in tuple(member.groups):
                self.leave(group, connection_id)

    def join_user(self, group: str, user_id: str, ttl_s: int | None) -> None:
        """Add a user's connections to a group, and later ones for ``ttl_s`` seconds; None: for a year; 0: none."""
        self._user_groups.add(user_id, group, ttl_s)
        for client in self.clients(Audience(user_id=user_id)):
            self.join(group, client.connection_id)

    def leave_user(self, group: str | None, user_id: str) -> None:
        """Remove a user and all its connections from a group; None: from all."""
        self._user_groups.remove(user_id, group)
        for client in self.clients(Audience(user_id=user_id)):
            if group is None:
                self.leave_all(client.connection_id)
            else:
                self.leave(group, client.connection_id)

    def has_user(self, group: str, user_id: str) -> bool:
        """Whether the user is a member; what a single connection joined does not count."""
        return self._user_groups.has(user_id, group)

    def sever(self, connection_id: str) -> None:
        """Break a connection, as the network does: the client is not told."""
        for member in self._meant(Audience(connection_id=connection_id)):
            if isinstance(member.transport, Severable):
                member.transport.sever()


class Hubs:
    """Every hub there is; asking for one makes it.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._hubs: dict[str, TwinHub] = {}

    def get(self, name: str) -> TwinHub:
        """The hub of a valid name; upper and lower case are one."""
        key = name.lower()
        hub = self._hubs.get(key)
        if hub is None:
            hub = self._hubs[key] = TwinHub(UserGroups(self._clock))
        return hub

    def all(self) -> list[TwinHub]:
        """Those that somebody has asked for."""
        return list(self._hubs.values())
