"""What is needed of whoever hears channels, and of who is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Channels", "Listener"]


class Listener(Protocol):
    """Hears a channel. Both methods are called while a read is worked on: they must be quick and not raise."""

    def on_messages(self, payloads: Sequence[bytes]) -> None:
        """These were published, in this order; what one read brings of a channel comes together."""
        ...

    def on_gap(self) -> None:
        """Messages may have been lost up to now; from now on they come again."""
        ...


class Channels(ABC):
    """Sharded channels, heard until this is closed. Belongs to one event loop.

    A listener may hear a message as soon as ``listen`` has been called. After messages may have been lost, they come
    again, and each listener of a channel that had been confirmed is told of the gap when it has been confirmed anew.
    """

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """Whether there is a connection that works as far as one knows."""

    @abstractmethod
    async def listen(self, channel: bytes, listener: Listener) -> None:
        """Hear a channel; returns when the server has confirmed it. Again is no error, and waits again if it must.

        One that is cancelled or fails leaves things as they were.

        Raises:
            UnavailableError: it did not confirm in time, it refused, or the listener was taken back meanwhile.
        """

    @abstractmethod
    def unlisten(self, channel: bytes, listener: Listener) -> None:
        """Hear a channel no more; again is no error. Who waits in ``listen`` for the same waits no longer."""

    @abstractmethod
    async def check(self) -> None:
        """Whether it is connected. A first attempt that is under way is waited for.

        Raises:
            UnavailableError: it is not; says why.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Disconnect; who waits is told. Idempotent."""
