"""Connections of a hub, and the groups that they are members of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streamsink.backends.gateway.followers import Follower
    from streamsink.backends.gateway.frame import Frames, HubProtocol
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
    groups: tuple[str, ...] = ()  # few, and most connections of many are idle: garbage collections pass tuples over


@dataclass(eq=False, slots=True)
class Group:
    """Who hears what is published, and what is to be heard.

    Attributes:
        followers: in this process.
        waiting: for the end of this loop turn.
        rest: who is still to be sent what left before that, and what it is.
        only: the member that has no others beside it.
    """

    followers: set[Follower] = field(default_factory=set)
    waiting: list[Iterable[Event]] | None = None
    rest: tuple[Sequence[Member], Frames] | None = None
    only: Member | None = None
    _members: dict[str, Member] = field(default_factory=dict)
    _listed: tuple[Member, ...] | None = ()

    @property
    def is_behind(self) -> bool:
        """Whether somebody is to be sent something."""
        return self.waiting is not None or self.rest is not None

    @property
    def is_empty(self) -> bool:
        """Whether nobody hears it."""
        return not self._members and not self.followers

    def add(self, member: Member) -> None:
        """Again is no error."""
        self._members[member.connection_id] = member
        self._changed()

    def remove(self, connection_id: str) -> None:
        """It must be there."""
        del self._members[connection_id]
        self._changed()

    def _changed(self) -> None:
        self._listed = None
        self.only = next(iter(self._members.values())) if len(self._members) == 1 else None

    def members(self) -> tuple[Member, ...]:
        """Those that are there now, in the order in which they came; listed anew only when somebody came or went."""
        listed = self._listed
        if listed is None:
            listed = self._listed = tuple(self._members.values())
        return listed
