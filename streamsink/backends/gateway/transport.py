"""The way to one client, as a hub sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from streamsink.backends.gateway.frame import Frame

__all__ = ["Severable", "Transport"]


class Transport(Protocol):
    """The way to one client. None of it blocks or raises."""

    def write(self, frame: Frame) -> bool:
        """Send a frame after those before it. False: more is unsent than its bound allows, and it was not taken.

        So a connection holds at most that bound and one frame.
        """
        ...

    def close(self, error: str | None = None, *, allow_reconnect: bool = False, discard: bool = False) -> None:
        """Send a Close message, then end; again is harmless.

        Args:
            error: what the client is told; None: nothing is wrong.
            allow_reconnect: whether clients with automatic reconnect come back.
            discard: drop what is waiting first.
        """
        ...


@runtime_checkable
class Severable(Protocol):
    """A transport that can fail on command."""

    def sever(self) -> None:
        """End at once and without a word, as when the network breaks."""
        ...
