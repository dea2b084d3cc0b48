"""What the contract suite needs around a sink. A backend's tests make one; see ``streamsink.testing.contract``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from streamsink.core.cursor import Cursor
    from streamsink.core.sink import StreamSink

__all__ = ["Client", "MakeSubject", "Subject"]


class Client(Protocol):
    """A client connection of the backend's own kind. ``streamsink.testing.signalr.SignalRClient`` is one.

    Attributes:
        connection_id: what a join names.
        received: every event so far, as it came.
    """

    connection_id: str
    received: list[Any]

    async def until(self, count: int = 1, *, target: str | None = None) -> list[Any]:
        """The events so far, each with ``target`` and ``data``, once ``count`` have come (with that target)."""
        ...


class Subject(ABC):
    """A sink under test, and the world that it lives in.

    Attributes:
        sink: the sink.
    """

    sink: StreamSink

    @abstractmethod
    def client(self, user_id: str) -> AbstractAsyncContextManager[Client]:
        """A connected client of that user."""

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """Let so much of the store's time pass: on an injected clock, or really."""

    async def lose(self, thread: str, after: Cursor) -> bool:
        """Make the store forget what came after a place, as a failover to a lagging replica does.

        False when this store cannot lose anything that way; the checks about it are then not applicable.
        """
        return False

    def fail_deliveries(self, count: int) -> bool:
        """Make the next deliveries fail; False when the test cannot."""
        return False


MakeSubject: TypeAlias = Callable[[], AbstractAsyncContextManager[Subject]]
