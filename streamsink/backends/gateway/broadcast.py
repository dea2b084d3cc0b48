"""What goes to members of groups: framed once per protocol, as a loop turn ends, to so many that nobody else waits."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from streamsink.backends.gateway.frame import Frames
from streamsink.backends.gateway.turn import SLICE, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from streamsink.backends.gateway.group import Group, Member

__all__ = ["Broadcast"]


class Broadcast:
    """Writes to transports.

    Args:
        connections: the ids of those that are there.
        shed: called with a member that cannot keep up.
        defer: calls a function in the next loop turn; None: the running loop's.
    """

    def __init__(
        self,
        connections: Container[str],
        shed: Callable[[Member], None],
        *,
        defer: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._connections = connections
        self._shed = shed
        self.turn: Turn[Group] = Turn(self._write_waiting, defer=defer)

    def settle(self, there: Group) -> None:
        """Write all that waits for a group now."""
        while there.is_behind:
            self._write_waiting(there)

    def write(self, members: Iterable[Member], frames: Frames) -> None:
        """The same to each, in its protocol; who cannot take it is shed."""
        for member in members:
            if not member.transport.write(frames[member.protocol]):
                self._shed(member)

    def _write_waiting(self, there: Group) -> int:
        if there.rest is not None:
            members, frames = there.rest
            present = [member for member in members if member.connection_id in self._connections]
            return self._write_slice(there, present, frames)
        batches, there.waiting = there.waiting, None
        if batches is None:  # sent already
            return 0
        if there.followers:
            for follower in there.followers:
                follower.put(chain.from_iterable(batches))
        member = there.only
        if member is not None:  # as most threads have it
            if not member.transport.write(member.protocol.frame(batches)):
                self._shed(member)
            return 1
        return self._write_slice(there, there.members(), Frames(lambda protocol: protocol.frame(batches)))

    def _write_slice(self, there: Group, members: Sequence[Member], frames: Frames) -> int:
        """To so many as the loop may stand still for; the others follow in its next turns."""
        now, later = members[:SLICE], members[SLICE:]
        there.rest = (later, frames) if later else None
        if later:
            self.turn.add_first(there)
        self.write(now, frames)
        return len(now)
