"""Subscribers at the masters of a cluster, each kept while somebody needs it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from streamsink.backends.redis.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streamsink.backends.redis.endpoint import Address, Endpoint
    from streamsink.backends.redis.topology import Topology

__all__ = ["Master", "Masters"]


@dataclass(slots=True, eq=False)
class Master:
    """A connection to a master.

    Attributes:
        needed: by how many that listen, or try to.
        was_idle: nobody needed it when that was last looked at.
    """

    address: Address
    subscriber: Subscriber
    needed: int = 0
    was_idle: bool = False


class Masters:
    """One subscriber for each address that was asked for, until it is idle twice.

    Args:
        topology: asked again when a connection is lost: perhaps that server is no master any more.
        endpoint: of the server at an address.
        on_moved: a master says that another one has a channel's slot: its address, the channel, and its words.
        timeout_s, random: as a Subscriber's.
    """

    def __init__(
        self,
        topology: Topology,
        endpoint: Callable[[Address], Endpoint],
        *,
        on_moved: Callable[[Address, bytes, str], None],
        timeout_s: float,
        random: Callable[[], float],
    ) -> None:
        self._topology = topology
        self._endpoint = endpoint
        self._on_moved = on_moved
        self._timeout_s = timeout_s
        self._random = random
        self._masters: dict[Address, Master] = {}

    def at(self, address: Address) -> Master:
        """The one at an address; not connected before somebody listens there."""
        master = self._masters.get(address)
        if master is None:
            master = self._masters[address] = Master(address, self._subscriber(address))
        return master

    def _subscriber(self, address: Address) -> Subscriber:
        return Subscriber(
            _finder(self._topology, self._endpoint(address)),
            timeout_s=self._timeout_s,
            random=self._random,
            on_moved=partial(self._on_moved, address),
        )

    def needed(self) -> list[Master]:
        """Those that somebody needs."""
        return [master for master in self._masters.values() if master.needed]

    async def close_idle(self) -> None:
        """Close those that nobody has needed, neither now nor when this was last called."""
        for master in tuple(self._masters.values()):
            if not master.needed and master.was_idle:
                del self._masters[master.address]
                await master.subscriber.aclose()
            master.was_idle = not master.needed

    async def aclose(self) -> None:
        """Close all of them; idempotent."""
        for master in self._masters.values():
            await master.subscriber.aclose()


def _finder(topology: Topology, endpoint: Endpoint) -> Callable[[], Awaitable[Endpoint]]:
    """Says where a master is: where it was. When that has to be said again, perhaps it is no master any more."""
    times = count()

    async def find() -> Endpoint:
        if next(times):
            topology.refresh_soon()
        return endpoint

    return find
