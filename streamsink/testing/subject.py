"""What the contract suite needs around a sink. A backend's tests make one; see ``streamsink.testing.contract``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

from streamsink.core.conversation import Conversation
from streamsink.testing.checking import conversation, events_of

if TYPE_CHECKING:
    from streamsink.core.cursor import Cursor
    from streamsink.core.events import Event
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
        keeps_history: what was appended can be read again. Where it cannot, checks that need it raise
            ``NotApplicableError``, ``events`` is to be overridden, and the store's clock begins at 1 ms: there an
            attempt is its start in ms, and the checks call the first one 1.
    """

    sink: StreamSink
    keeps_history: bool = True

    @abstractmethod
    def client(self, user_id: str) -> AbstractAsyncContextManager[Client]:
        """A connected client of that user."""

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """Let so much of the store's time pass: on an injected clock, or really."""

    async def events(self, thread: str) -> list[Event]:
        """What has happened in a thread, each event once, as its timeline has it.

        Without history: what was delivered; and, as reading it would, this lets the sink sweep the thread.
        """
        return await events_of(self.sink, thread)

    async def conversation(self, thread: str) -> dict[str, Any]:
        """The conversation as a client that joins now sees it; without history, as one that was there sees it."""
        if self.keeps_history:
            return await conversation(self.sink, thread)
        seen = Conversation()
        for event in await self.events(thread):
            seen.apply(event.target, msgspec.json.decode(event.json))
        return seen.state

    async def lose(self, thread: str, after: Cursor) -> bool:
        """Make the store forget what came after a place, as a failover to a lagging replica does.

        False when this store cannot lose anything that way; the checks about it are then not applicable.
        """
        return False

    def fail_deliveries(self, count: int) -> bool:
        """Make the next deliveries fail; False when the test cannot."""
        return False


MakeSubject: TypeAlias = Callable[[], AbstractAsyncContextManager[Subject]]
