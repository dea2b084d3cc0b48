"""Connections of a hub, and the groups that they are members of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamsink.backends.gateway.followers import Follower
    from streamsink.backends.gateway.frame import HubProtocol
    from streamsink.backends.gateway.transport import Transport
    from streamsink.core.events import Event

__all__ = ["Group", "Member"]


@dataclass(eq=False, slots=True)
class Member:
    """A connection, whose it is, and where it belongs."""

    connection_id: str
    user_id: str | None
    protocol: HubProtocol
    transport: Transport
    groups: set[str] = field(default_factory=set)


@dataclass(eq=False, slots=True)
class Group:
    """Who hears what is published, and what is to be heard at the end of this loop turn."""

    members: dict[str, Member] = field(default_factory=dict)
    followers: set[Follower] = field(default_factory=set)
    waiting: list[Event] = field(default_factory=list)
