"""Scripts on a cluster: each runs at the master of its keys' slot, beside what others run there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import AskError, ClusterDownError, MovedError, ReadOnlyError, ResponseError, TryAgainError

from streamsink.backends.redis.endpoint import Address
from streamsink.backends.redis.scripts import Script
from streamsink.backends.redis.store import RedisStore, Store
from streamsink.core.errors import UnavailableError
from streamsink.core.runtime import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamsink.backends.redis.kinds import OneServer
    from streamsink.backends.redis.topology import Topology

__all__ = ["ClusterStore"]

_READY: Final = Script.of("return redis.call('SET', KEYS[1], '1', 'EX', 60)")
_FIRST_RETRY_S: Final = 0.02
_LONGEST_RETRY_S: Final = 0.3


class ClusterStore(Store):
    """One store per master, so that one that does not answer holds up nobody else's calls.

    A call is made again, for as long as it may take, where a master says that another one has the slot, or that the
    slot is on its way to another one. It is not made at the new master before that one has the slot: who listens to
    the slot's channels is told to go there only then.

    Args:
        topology: closed with this store.
        server: the one at an address.
        timeout_s: for one call, its waiting included.
    """

    def __init__(self, topology: Topology, server: Callable[[Address], OneServer], *, timeout_s: float) -> None:
        self._topology = topology
        self._server = server
        self._timeout_s = timeout_s
        self._stores: dict[Address, RedisStore] = {}
        self._tasks = TaskOwner()
        self._is_closed = False

    async def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Any] = ()) -> Any:
        why = UnavailableError("Redis did not answer in time")
        delay_s = 0.0  # what moved is there already
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    address = await self._topology.master_of(keys[0])
                    try:
                        return await self._at(address).run(script, keys, args)
                    except UnavailableError as error:
                        why = error
                    if not await self._is_elsewhere(keys[0], address, why.__cause__):
                        raise why
                    await asyncio.sleep(delay_s)
                    delay_s = min(max(delay_s * 2, _FIRST_RETRY_S), _LONGEST_RETRY_S)
        except TimeoutError:
            self._topology.refresh_soon()
            raise why from None

    async def _is_elsewhere(self, key: bytes, address: Address, error: BaseException | None) -> bool:
        """Whether a call that failed may do better when it is made again."""
        if isinstance(error, MovedError):
            self._topology.move(key, Address(error.host or address.host, int(error.port)))
            return True
        if isinstance(error, (AskError, TryAgainError)):
            return True
        if isinstance(error, ResponseError) and not isinstance(error, (ClusterDownError, ReadOnlyError)):
            return False
        try:
            await self._topology.refresh()
        except UnavailableError:
            return False
        return self._topology.known(key) != address

    def _at(self, address: Address) -> RedisStore:
        if self._is_closed:
            raise UnavailableError("the store is closed")
        if address not in self._stores:
            for gone in self._stores.keys() - self._topology.masters:
                self._tasks.start(self._stores.pop(gone).aclose(), name="streamsink redis master gone")
            self._stores[address] = RedisStore(self._server(address), timeout_s=self._timeout_s)
        return self._stores[address]

    async def check(self, key: bytes) -> None:
        keys = await self._topology.keys_on_each(key)
        outcomes = await asyncio.gather(*[self.run(_READY, [each]) for each in keys], return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def servers(self) -> Sequence[RedisStore]:
        await self._topology.refresh()
        return [self._at(address) for address in sorted(self._topology.masters)]

    async def aclose(self) -> None:
        self._is_closed = True
        await self._tasks.aclose(grace_s=self._timeout_s)
        for store in self._stores.values():
            await store.aclose()
        await self._topology.aclose()
