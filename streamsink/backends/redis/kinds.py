"""The kinds of servers that a URL may mean, and what is made of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from streamsink.backends.redis.store import RedisStore
from streamsink.backends.redis.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

    from streamsink.backends.redis.channels import Channels
    from streamsink.backends.redis.endpoint import Endpoint
    from streamsink.backends.redis.store import Store

__all__ = ["OneServer", "Servers"]


class Servers(ABC):
    """Attributes:
    database: the number of the database.
    timeout_s: for each exchange with a server.
    """

    database: int = 0
    timeout_s: float

    @abstractmethod
    def store(self) -> Store:
        """What runs scripts, for one event loop. It is closed by who asks, and closes these servers."""

    @abstractmethod
    def subscriber(self, random: Callable[[], float]) -> Channels:
        """What hears channels, for one event loop, beside a store of the same servers; closed by who asks, first.

        Args:
            random: a number in [0, 1), for jitter.
        """


class OneServer(Servers):
    """One that can be written at a time, whichever it is."""

    def store(self) -> Store:
        return RedisStore(self, timeout_s=self.timeout_s)

    def subscriber(self, random: Callable[[], float]) -> Channels:
        return Subscriber(self.find, timeout_s=self.timeout_s, random=random)

    @abstractmethod
    def client(self) -> Redis:
        """A client for one event loop; it connects when it is used, to the server that can be written then."""

    @abstractmethod
    async def find(self) -> Endpoint:
        """Where that server is.

        Raises:
            UnavailableError: nobody knows now.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Release what finding it took; idempotent."""
