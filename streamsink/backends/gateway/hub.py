"""One hub of one process: its client connections, their users, their groups, and who is meant by what.

Publishing makes no task or coroutine: what one loop turn brings to a group is written at its end (``broadcast``).
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from streamsink.backends.gateway.audience import EVERYBODY, Audience
from streamsink.backends.gateway.broadcast import Broadcast
from streamsink.backends.gateway.followers import Follower
from streamsink.backends.gateway.frame import Frames
from streamsink.backends.gateway.group import Group, Member
from streamsink.backends.gateway.slices import do_in_turns
from streamsink.core.errors import ConnectionGoneError, ForbiddenError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from streamsink.backends.gateway.frame import HubProtocol
    from streamsink.backends.gateway.messages import Invocation
    from streamsink.backends.gateway.transport import Transport
    from streamsink.core.events import Event

__all__ = ["Hub"]

_log = logging.getLogger("streamsink")

TOO_SLOW: Final = "The connection cannot keep up."

# In one loop turn: 40 µs each.
_CLOSED_AT_ONCE: Final = 200


class Hub:
    """Connections and groups. It belongs to one event loop: nothing here may be called from another thread.

    Args:
        max_followed_events: waiting, per follower in this process.
        on_empty: called with the name of a group that nobody is left in.
        defer: calls a function in the next loop turn; None: the running loop's.

    Attributes:
        slow_readers: connections closed because they could not keep up.
        is_draining: whether clients are being sent elsewhere.
    """

    def __init__(
        self,
        *,
        max_followed_events: int = 1_000,
        on_empty: Callable[[str], None] | None = None,
        defer: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._on_empty = on_empty or _ignore
        self._max_followed_events = max_followed_events
        self._connections: dict[str, Member] = {}
        self._groups: dict[str, Group] = {}
        self._users: dict[str, dict[str, Member]] = {}
        self._broadcast = Broadcast(self._connections, self._shed, defer=defer)
        self._turn = self._broadcast.turn
        self.slow_readers: int = 0
        self.is_draining: bool = False

    def __len__(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    def __contains__(self, connection_id: object) -> bool:
        return connection_id in self._connections

    def connect(self, connection_id: str, user_id: str | None, *, protocol: HubProtocol, transport: Transport) -> None:
        """Add a connection whose handshake is over."""
        member = Member(connection_id, user_id, protocol, transport)
        self._connections[connection_id] = member
        if user_id is not None:
            self._users.setdefault(user_id, {})[connection_id] = member

    def disconnect(self, connection_id: str) -> None:
        """Forget a connection; again is no error."""
        member = self._connections.pop(connection_id, None)
        if member is None:
            return
        if member.user_id is not None:
            self._forget_of_user(connection_id, member.user_id)
        for name in member.groups:
            self._groups[name].remove(connection_id)
            self._prune(name)

    def close(self, connection_id: str, error: str | None = None, *, allow_reconnect: bool = False) -> bool:
        """Close and forget a connection. False: there is none."""
        member = self._connections.get(connection_id)
        if member is None:
            return False
        self.disconnect(connection_id)
        member.transport.close(error, allow_reconnect=allow_reconnect)
        return True

    def join(self, group: str, connection_id: str, user_id: str | None = None) -> None:
        """Add a connection to a group; the next publish reaches it, the last one does not. Again is no error.

        Args:
            group: any name.
            connection_id: which.
            user_id: whose it must be; None: anybody's.

        Raises:
            ConnectionGoneError: there is no such connection.
            ForbiddenError: it is somebody else's.
        """
        self._settle(group)
        member = self._connections.get(connection_id)
        if member is None:
            raise ConnectionGoneError("there is no such connection")
        _check_owner(member, user_id)
        if group not in member.groups:
            member.groups += (group,)
        self._groups.setdefault(group, Group()).add(member)

    def leave(self, group: str, connection_id: str, user_id: str | None = None) -> None:
        """Remove a connection from a group; one that is not there is no error.

        Raises:
            ForbiddenError: it is somebody else's.
        """
        self._settle(group)
        member = self._connections.get(connection_id)
        if member is None:
            return
        _check_owner(member, user_id)
        if group in member.groups:
            member.groups = _without(member.groups, group)
            self._groups[group].remove(connection_id)
            self._prune(group)

    def dissolve(self, group: str) -> None:
        """Remove every connection from a group, and end what follows it in this process."""
        self._settle(group)
        gone = self._groups.pop(group, Group())
        for member in gone.members():
            member.groups = _without(member.groups, group)
        for follower in gone.followers:
            follower.end()
        self._on_empty(group)

    def members(self, group: str) -> list[str]:
        """The ids of a group's connections."""
        return [member.connection_id for member in self._groups.get(group, Group()).members()]

    def publish(self, group: str, events: Iterable[Event]) -> None:
        """Send events to a group, in one frame with what else this loop turn brings to it.

        Args:
            group: its name.
            events: consecutive, at least one; they must stay as they are.
        """
        there = self._groups.get(group)
        if there is None:
            return
        waiting = there.waiting
        if waiting is None:
            there.waiting = [events]
            self._turn.add(there)
        else:
            waiting.append(events)

    def publish_together(self, group: str, batches: Sequence[Iterable[Event]]) -> None:
        """The same with all that this loop turn brings to the group: who hears it alone is written to at once."""
        there = self._groups.get(group)
        if there is None:
            return
        member = there.only
        if member is not None and there.waiting is None and there.rest is None and not there.followers:
            if not member.transport.write(member.protocol.frame(batches)):
                self._shed(member)
            return
        for events in batches:
            self.publish(group, events)

    def flush(self) -> None:
        """Send what waits for the end of the loop turn now."""
        self._turn.flush()

    def send(self, call: Invocation, to: Audience = EVERYBODY) -> None:
        """Send a call to whoever is meant; nobody is no error."""
        self._broadcast.write(self._meant(to), Frames(lambda protocol: protocol.encode(call)))

    def reaches(self, audience: Audience) -> bool:
        """Whether there is anybody: such a connection, a user who is connected, a group with members."""
        return bool(self._meant(audience))

    def close_all(self, of: Audience = EVERYBODY, error: str | None = None, *, allow_reconnect: bool = False) -> int:
        """Close and forget connections; returns how many."""
        members = self._meant(of)
        for member in members:
            self.close(member.connection_id, error, allow_reconnect=allow_reconnect)
        return len(members)

    def _meant(self, audience: Audience) -> list[Member]:
        if audience.connection_id is not None:
            found = self._connections.get(audience.connection_id)
            members: Iterable[Member] = () if found is None else (found,)
        elif audience.user_id is not None:
            members = self._users.get(audience.user_id, {}).values()
        elif audience.group is not None:
            members = self._groups.get(audience.group, Group()).members()
        else:
            members = self._connections.values()
        return [member for member in members if member.connection_id not in audience.excluded]

    def _settle(self, group: str) -> None:
        """Send what waits for a group before somebody comes or goes: each hears what is published meanwhile."""
        there = self._groups.get(group)
        if there is not None:
            self._broadcast.settle(there)

    @asynccontextmanager
    async def subscribe(self, group: str) -> AsyncIterator[Follower]:
        """Follow a group from now on; see :class:`Follower`."""
        follower = Follower(self._max_followed_events)
        self._settle(group)
        self._groups.setdefault(group, Group()).followers.add(follower)
        if self.is_draining:
            follower.end()
        try:
            yield follower
        finally:
            if group in self._groups:
                self._groups[group].followers.discard(follower)
                self._prune(group)

    async def drain(self) -> None:
        """Close every connection so that it reconnects, elsewhere, some in a loop turn; end what follows groups here.

        Returns when each that was there has been told. Who connects from now on is the caller's to refuse.
        """
        self.flush()
        self.is_draining = True
        for there in self._groups.values():
            for follower in there.followers:
                follower.end()
        await do_in_turns(self._send_away, tuple(self._connections), at_once=_CLOSED_AT_ONCE)

    def _send_away(self, connection_id: str) -> None:
        self.close(connection_id, allow_reconnect=True)

    def _shed(self, member: Member) -> None:
        self.slow_readers += 1
        _log.info("connection %s cannot keep up; closed so that it reconnects", member.connection_id)
        self.disconnect(member.connection_id)
        # What waits is dropped: the client asks for it again, from its cursor, when it is back.
        member.transport.close(TOO_SLOW, allow_reconnect=True, discard=True)

    def _forget_of_user(self, connection_id: str, user_id: str) -> None:
        theirs = self._users[user_id]
        del theirs[connection_id]
        if not theirs:
            del self._users[user_id]

    def _prune(self, group: str) -> None:
        if self._groups[group].is_empty:
            del self._groups[group]
            self._on_empty(group)


def _ignore(_: str) -> None:
    """Nobody wants to know."""


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple([each for each in names if each != name])


def _check_owner(member: Member, user_id: str | None) -> None:
    if user_id is not None and user_id != member.user_id:
        raise ForbiddenError("this connection belongs to somebody else")
