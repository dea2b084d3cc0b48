"""What a process knows of a cluster, and asks again when it turns out to be wrong."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from streamsink.backends.redis.errors import tls_failure
from streamsink.backends.redis.slots import SlotMap
from streamsink.core.errors import UnavailableError
from streamsink.core.runtime import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from streamsink.backends.redis.endpoint import Address

__all__ = ["NO_MASTER", "Topology"]

NO_MASTER: Final = "the Redis cluster has slots without a master"

# One that does not answer holds up nobody, and not every server is asked by every process.
_AT_ONCE: Final = 3
_CLOSED: Final = "the store is closed"
_LATE: Final = "Redis did not answer in time"
_UNREACHABLE: Final = "Redis cannot be reached"
_NO_PERMISSION: Final = "the user in STREAM_REDIS_URL may not do this; docs/redis.md has the rules it needs"
_NO_CLUSTER: Final = "this Redis is not one of a cluster; STREAM_REDIS_URL should begin with redis:// or rediss://"


class Topology:
    """The masters of a cluster, for one event loop.

    Args:
        seeds: where to ask first, and when nobody else answers.
        ask: what a server says to ``CLUSTER SLOTS``; an error as a value.
        timeout_s: for asking once around.
    """

    def __init__(self, seeds: Sequence[Address], ask: Callable[[Address], Awaitable[Any]], *, timeout_s: float) -> None:
        self._seeds = seeds
        self._ask = ask
        self._timeout_s = timeout_s
        self._map = SlotMap()
        self._watchers: list[Callable[[], None]] = []
        self._tasks = TaskOwner()
        self._refreshing: asyncio.Task[UnavailableError | None] | None = None
        self._turn = 0
        self._is_closed = False

    @property
    def masters(self) -> set[Address]:
        """Those that have slots, as far as one knows."""
        return self._map.masters

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have it called whenever a slot has another master than before."""
        self._watchers.append(watcher)

    def known(self, key: bytes) -> Address | None:
        """Who has a key's or a channel's slot, as far as one knows."""
        return self._map.master_of(key)

    async def master_of(self, key: bytes) -> Address:
        """The same, having asked if nobody knows.

        Raises:
            UnavailableError: nobody has it, or no server answers.
        """
        if self.known(key) is None:
            await self.refresh()
        master = self.known(key)
        if master is None:
            raise UnavailableError(NO_MASTER)
        return master

    async def keys_on_each(self, key: bytes) -> list[bytes]:
        """Keys that begin with ``key``, one at each master.

        Raises:
            UnavailableError: no server answers.
        """
        if not self.masters:
            await self.refresh()
        return list(self._map.keys_on_each(key))

    def move(self, key: bytes, master: Address) -> None:
        """A server said who has the key's slot. The others will be asked for what else has changed."""
        if self.known(key) != master:
            self._map.move(key, master)
            self._tell()
        self.refresh_soon()

    def refresh_soon(self) -> None:
        """Ask again, unless that is being done."""
        if not self._is_closed:
            self._refreshed()

    async def refresh(self) -> None:
        """Ask again.

        Raises:
            UnavailableError: no server answers; says why.
        """
        if self._is_closed:
            raise UnavailableError(_CLOSED)
        task = self._refreshed()
        await asyncio.wait({task})  # not cancelled with one of those who wait
        error = UnavailableError(_CLOSED) if task.cancelled() else task.result()
        if error is not None:
            raise UnavailableError(str(error))

    def _refreshed(self) -> asyncio.Task[UnavailableError | None]:
        if self._refreshing is None:
            self._refreshing = self._tasks.start(self._refresh(), name="streamsink redis cluster")
        return self._refreshing

    async def _refresh(self) -> UnavailableError | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._ask_around()
        except TimeoutError:
            return UnavailableError(_LATE)
        finally:
            self._refreshing = None

    async def _ask_around(self) -> UnavailableError | None:
        """Until one answers; each time another one first."""
        servers = deque(dict.fromkeys((*self._map.servers, *self._seeds)))
        self._turn += 1
        servers.rotate(self._turn)
        asked: set[asyncio.Task[SlotMap | UnavailableError]] = set()
        error = UnavailableError(_UNREACHABLE)
        try:
            while servers or asked:
                while servers and len(asked) < _AT_ONCE:
                    asked.add(asyncio.ensure_future(self._read(servers.popleft())))
                done, asked = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                for answer in (task.result() for task in done):
                    if isinstance(answer, SlotMap):
                        self._take(answer)
                        return None
                    error = answer
        finally:
            await _end(asked)
        return error

    async def _read(self, server: Address) -> SlotMap | UnavailableError:
        try:
            reply = await self._ask(server)
        except UnavailableError as error:
            return error
        except TimeoutError:
            return UnavailableError(_LATE)
        except OSError as error:
            return UnavailableError(tls_failure(error) or _UNREACHABLE)
        try:
            found = SlotMap.read(reply, server)
        except ValueError:
            return UnavailableError(_NO_PERMISSION if str(reply).startswith("NOPERM") else _NO_CLUSTER)
        return found if found.masters else UnavailableError(NO_MASTER)  # it has just begun, and knows nobody

    def _take(self, found: SlotMap) -> None:
        if found != self._map:
            self._map = found
            self._tell()

    def _tell(self) -> None:
        for watcher in self._watchers:
            watcher()

    async def aclose(self) -> None:
        """Ask no more; idempotent."""
        self._is_closed = True
        await self._tasks.aclose()


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
