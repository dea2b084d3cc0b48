"""Waiting for something to happen in a thread."""

from __future__ import annotations

import asyncio
from typing import Any

from streamsink.backends.redis.keys import Keys
from streamsink.backends.redis.turns import PublishedTurns

KEYS = Keys("p")


class Channels:
    """A subscriber with one listener at most."""

    def __init__(self) -> None:
        self.listener: Any = None
        self.has_listener = asyncio.Event()

    async def listen(self, channel: bytes, listener: Any) -> None:
        assert channel == KEYS.channel("t")
        self.listener = listener
        self.has_listener.set()

    def unlisten(self, channel: bytes, listener: Any) -> None:
        assert listener is self.listener
        self.listener = None


async def woken_by(name: str, *arguments: list[bytes]) -> Channels:
    channels = Channels()
    waiting = asyncio.ensure_future(PublishedTurns(channels, KEYS).wait("t", timeout_s=5))  # type: ignore[arg-type]
    await channels.has_listener.wait()
    getattr(channels.listener, name)(*arguments)
    async with asyncio.timeout(5):
        await waiting
    return channels


async def test_a_message_or_a_gap_wakes() -> None:
    for channels in (await woken_by("on_messages", [b"x"]), await woken_by("on_gap")):
        assert channels.listener is None


async def test_waiting_ends() -> None:
    channels = Channels()

    await PublishedTurns(channels, KEYS).wait("t", timeout_s=0.01)  # type: ignore[arg-type]

    assert channels.has_listener.is_set()
    assert channels.listener is None
