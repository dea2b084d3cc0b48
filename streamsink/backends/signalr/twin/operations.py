"""What the data plane can be asked to do, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from streamsink.backends.gateway.audience import Audience
    from streamsink.backends.gateway.messages import Invocation

__all__ = [
    "Close",
    "Exists",
    "Health",
    "IsUserInGroup",
    "Join",
    "JoinUser",
    "Leave",
    "LeaveUser",
    "ListMembers",
    "MakeToken",
    "Operation",
    "Send",
]


@dataclass(frozen=True, slots=True)
class Health:
    """Is the service there?"""


@dataclass(frozen=True, slots=True)
class Send:
    """Call a method of clients."""

    hub: str
    to: Audience
    call: Invocation


@dataclass(frozen=True, slots=True)
class Exists:
    """Is there such a connection, a user who is connected, a group with members?"""

    hub: str
    who: Audience


@dataclass(frozen=True, slots=True)
class IsUserInGroup:
    """Is a user's membership remembered?"""

    hub: str
    user_id: str
    group: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close connections; ``must_exist``: one that is not there is an error."""

    hub: str
    of: Audience
    reason: str | None
    must_exist: bool


@dataclass(frozen=True, slots=True)
class Join:
    """Add a connection to a group, as long as it lasts."""

    hub: str
    group: str
    connection_id: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Remove a connection from a group; None: from all."""

    hub: str
    group: str | None
    connection_id: str


@dataclass(frozen=True, slots=True)
class JoinUser:
    """Add a user to a group for ``ttl_s`` seconds; 0: only who is connected now; None: for long."""

    hub: str
    group: str
    user_id: str
    ttl_s: int | None


@dataclass(frozen=True, slots=True)
class LeaveUser:
    """Remove a user from a group; None: from all."""

    hub: str
    group: str | None
    user_id: str


@dataclass(frozen=True, slots=True)
class ListMembers:
    """A page of a group's connections.

    Args:
        path: of the request, as it came; the next page is asked there.
        api_version: as it was asked.
        size: at most so many on the page.
        top: at most so many on this and all further pages; None: all.
        after: the connection id that the previous page ended with.
    """

    hub: str
    group: str
    path: str
    api_version: str
    application: str | None
    size: int
    top: int | None
    after: str


@dataclass(frozen=True, slots=True)
class MakeToken:
    """A token for a client."""

    hub: str
    user_id: str | None
    minutes: int


Operation: TypeAlias = (
    Health | Send | Exists | IsUserInGroup | Close | Join | Leave | JoinUser | LeaveUser | ListMembers | MakeToken
)
