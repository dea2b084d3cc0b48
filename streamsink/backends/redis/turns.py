"""Waiting for something to happen in a thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.backends.redis.channels import Channels
    from streamsink.backends.redis.keys import Keys

__all__ = ["PublishedTurns"]


class PublishedTurns:
    """Wakes queued runs when something is published to their thread; see :class:`~.timeline.Turns`."""

    def __init__(self, subscriber: Channels, keys: Keys) -> None:
        self._subscriber = subscriber
        self._keys = keys

    async def wait(self, thread: str, *, timeout_s: float) -> None:
        """Return when something was published to the thread, or after ``timeout_s``.

        Raises:
            UnavailableError: the thread cannot be listened to.
        """
        wake, channel = _Wake(), self._keys.channel(thread)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._subscriber.listen(channel, wake)
                try:
                    await wake.event.wait()
                finally:
                    self._subscriber.unlisten(channel, wake)


class _Wake:
    def __init__(self) -> None:
        self.event = asyncio.Event()

    def on_messages(self, payloads: Sequence[bytes]) -> None:
        self.event.set()

    def on_gap(self) -> None:
        self.event.set()
