"""Listens to the sharded channels of a cluster: each at the master of its slot, wherever that is."""

from __future__ import annotations

import asyncio
import random as random_numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamsink.backends.redis.channels import Channels
from streamsink.backends.redis.masters import Masters
from streamsink.backends.redis.pubsub import log_failure
from streamsink.backends.redis.slots import moved_to
from streamsink.core.errors import UnavailableError
from streamsink.core.runtime import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamsink.backends.redis.channels import Listener
    from streamsink.backends.redis.endpoint import Address, Endpoint
    from streamsink.backends.redis.masters import Master
    from streamsink.backends.redis.topology import Topology

__all__ = ["ClusterSubscriber"]

_CLOSED: Final = "the subscriber is closed"
_TAKEN_BACK: Final = "nobody wants to listen any more"
_AGAIN_S: Final = 0.05
_LATER_S: Final = 0.5


@dataclass(slots=True, eq=False)
class _Call:
    """A listener that is not confirmed yet.

    Attributes:
        is_refused: the master that is being asked says that another one has the slot.
    """

    channel: bytes
    listener: Listener
    master: Master | None = None
    is_wanted: bool = True
    is_refused: bool = False


@dataclass(slots=True, eq=False)
class _Heard:
    """A listener that was confirmed.

    Attributes:
        is_refused: the master does not have it any more, whoever is said to be its master next.
    """

    channel: bytes
    listener: Listener
    master: Master
    is_moving: bool = False
    is_refused: bool = False


class ClusterSubscriber(Channels):
    """A subscriber for each master that has a channel which somebody listens to.

    Where a slot gets another master, its channels follow, and listeners are told of the gap when they are confirmed
    there. That is noticed when a master refuses or drops a channel, when it cannot be reached, when a script was sent
    elsewhere, and every ``look_s``: a master that was made a replica keeps its subscribers, and says nothing.

    Args:
        topology: who has which slot; closed by who made it.
        endpoint: of the server at an address.
        timeout_s: as a Subscriber's.
        look_s: how often the cluster is asked, and connections that nobody needs are closed.
        random: a number in [0, 1), for jitter.
    """

    def __init__(
        self,
        topology: Topology,
        endpoint: Callable[[Address], Endpoint],
        *,
        timeout_s: float = 5.0,
        look_s: float = 5.0,
        random: Callable[[], float] = random_numbers.random,
    ) -> None:
        self._topology = topology
        self._timeout_s = timeout_s
        self._look_s = look_s
        self._masters = Masters(topology, endpoint, on_moved=self._moved, timeout_s=timeout_s, random=random)
        self._heard: dict[bytes, list[_Heard]] = {}
        self._calls: set[_Call] = set()
        self._tasks = TaskOwner()
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._is_closed = False
        topology.watch(self._woken.set)

    @property
    def is_connected(self) -> bool:
        needed = self._masters.needed()
        return bool(needed) and all(master.subscriber.is_connected for master in needed)

    async def listen(self, channel: bytes, listener: Listener) -> None:
        self._start()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._listen(channel, listener)
        except TimeoutError:
            raise UnavailableError("Redis did not confirm a subscription in time") from None

    def unlisten(self, channel: bytes, listener: Listener) -> None:
        for call in self._calls_of(channel, listener):
            call.is_wanted = False
            _take_back(call)
        heard = self._find(channel, listener)
        if heard is not None:
            heard.master.subscriber.unlisten(channel, listener)
            heard.master.needed -= 1
            self._heard[channel].remove(heard)
            if not self._heard[channel]:
                del self._heard[channel]

    async def check(self) -> None:
        self._start()
        if not self._topology.masters:
            await self._topology.refresh()
        for master in self._masters.needed():
            await master.subscriber.check()

    async def aclose(self) -> None:
        self._is_closed = True
        for call in tuple(self._calls):
            _take_back(call)
        await self._tasks.aclose()
        await self._masters.aclose()

    def _start(self) -> None:
        if self._is_closed:
            raise UnavailableError(_CLOSED)
        if self._task is None:
            self._task = self._tasks.start(self._follow(), name="streamsink redis channels")

    def _find(self, channel: bytes, listener: Listener) -> _Heard | None:
        return next((each for each in self._heard.get(channel, ()) if each.listener is listener), None)

    def _calls_of(self, channel: bytes, listener: Listener) -> list[_Call]:
        return [call for call in self._calls if call.channel == channel and call.listener is listener]

    # Listening

    async def _listen(self, channel: bytes, listener: Listener) -> None:
        """At the channel's master, and at the next one, as often as there is another."""
        call = _Call(channel, listener)
        self._calls.add(call)
        try:
            while True:
                address = await self._topology.master_of(channel)
                try:
                    await self._ask(call, address)
                except UnavailableError:
                    is_there = self._topology.known(channel) == address and not call.is_refused
                    if is_there or not call.is_wanted or self._is_closed:
                        raise
                    await asyncio.sleep(_AGAIN_S)  # two may each say that it is the other one
                else:
                    return
        finally:
            self._calls.discard(call)

    async def _ask(self, call: _Call, address: Address) -> None:
        if self._is_closed or not call.is_wanted:
            raise UnavailableError(_CLOSED if self._is_closed else _TAKEN_BACK)
        master = call.master = self._masters.at(address)
        call.is_refused = False
        master.needed += 1
        try:
            await master.subscriber.listen(call.channel, call.listener)
            if not call.is_wanted:
                raise UnavailableError(_TAKEN_BACK)
            self._keep(call, master)
        finally:
            call.master = None
            master.needed -= 1

    def _keep(self, call: _Call, master: Master) -> None:
        heard = self._find(call.channel, call.listener)
        if heard is None:
            self._heard.setdefault(call.channel, []).append(_Heard(call.channel, call.listener, master))
            master.needed += 1
        elif heard.master is not master:
            heard.master.subscriber.unlisten(call.channel, call.listener)
            heard.master.needed -= 1
            heard.master = master
            master.needed += 1
            _tell_gap(call.listener)
        if heard is not None:
            heard.is_refused = False
        if self._topology.known(call.channel) != master.address:
            self._woken.set()

    # Following

    def _moved(self, by: Address, channel: bytes, words: str) -> None:
        """A master has refused a channel, or dropped it and then refused it."""
        for each in (*self._heard.get(channel, ()), *self._calls):
            if each.channel == channel and each.master is not None and each.master.address == by:
                each.is_refused = True
        there = moved_to(words, by)
        if there is not None:
            self._topology.move(channel, there)
        self._woken.set()

    async def _follow(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._look_s):
                    await self._woken.wait()
            except TimeoutError:
                self._topology.refresh_soon()
                await self._masters.close_idle()
            self._woken.clear()
            self._follow_channels()

    def _follow_channels(self) -> None:
        for call in self._calls:
            if call.master is not None and not self._is_at_home(call.channel, call.master):
                _take_back(call)
        for listeners in self._heard.values():
            for heard in listeners:
                is_there = self._is_at_home(heard.channel, heard.master) and not heard.is_refused
                if not heard.is_moving and not is_there:
                    heard.is_moving = True
                    self._tasks.start(self._move(heard), name="streamsink redis channel moves")

    def _is_at_home(self, channel: bytes, master: Master) -> bool:
        return self._topology.known(channel) in (master.address, None)

    async def _move(self, heard: _Heard) -> None:
        try:
            if self._find(heard.channel, heard.listener) is heard:
                await self._listen(heard.channel, heard.listener)
        except UnavailableError:
            await asyncio.sleep(_LATER_S)
        finally:
            heard.is_moving = False
            self._woken.set()


def _take_back(call: _Call) -> None:
    """Have a call look again for its master."""
    if call.master is not None:
        call.master.subscriber.unlisten(call.channel, call.listener)


def _tell_gap(listener: Listener) -> None:
    try:
        listener.on_gap()
    except Exception as error:
        log_failure(error)
