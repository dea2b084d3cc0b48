"""Nodes in one process: a network that can be told what to lose, a subscriber on redis-py, what nodes do."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from streamsink.backends.redis.letters import Answer, decode
from streamsink.core.errors import ConnectionGoneError, ForbiddenError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.asyncio import Redis

    from streamsink.backends.redis.channels import Listener
    from streamsink.backends.redis.scripts import Script


class Network:
    """Store and subscriber of nodes that need no Redis: it publishes, in the next turn of the loop."""

    def __init__(self) -> None:
        self.listeners: dict[bytes, set[Listener]] = defaultdict(set)
        self.is_lost: Callable[[bytes], bool] = lambda payload: False
        self.failure: Exception | None = None
        self.sent: list[bytes] = []
        self.is_connected = True

    async def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Any] = ()) -> int:
        assert "SPUBLISH" in script.source
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        (channel,), (payload,) = keys, args
        return self.publish(channel, payload)

    def publish(self, channel: bytes, payload: bytes) -> int:
        self.sent.append(payload)
        there = tuple(self.listeners[channel])
        if not self.is_lost(payload):
            for listener in there:
                asyncio.get_running_loop().call_soon(listener.on_messages, [payload])
        return len(there)

    async def listen(self, channel: bytes, listener: Listener) -> None:
        self.listeners[channel].add(listener)

    def unlisten(self, channel: bytes, listener: Listener) -> None:
        self.listeners[channel].discard(listener)

    def answers(self) -> list[str | None]:
        """The errors of the answers that were sent."""
        return [letter.error for letter in map(decode, self.sent) if isinstance(letter, Answer)]


class Subscriptions:
    """A subscriber on redis-py: one task reads."""

    is_connected = True

    def __init__(self, client: Redis) -> None:
        self._pubsub = client.pubsub()
        self._listeners: dict[bytes, Listener] = {}
        self._confirmed: dict[bytes, asyncio.Event] = defaultdict(asyncio.Event)
        self._reader: asyncio.Task[None] | None = None

    async def listen(self, channel: bytes, listener: Listener) -> None:
        self._listeners[channel] = listener
        await self._pubsub.ssubscribe(channel)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        await self._confirmed[channel].wait()

    def unlisten(self, channel: bytes, listener: Listener) -> None:
        if self._listeners.get(channel) is listener:
            del self._listeners[channel]

    async def _read(self) -> None:
        while True:
            message = await self._pubsub.get_message(timeout=None)
            if message is None:
                continue
            if message["type"] == "ssubscribe":
                self._confirmed[message["channel"]].set()
            elif message["type"] == "smessage" and message["channel"] in self._listeners:
                self._listeners[message["channel"]].on_messages([message["data"]])

    async def aclose(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait({self._reader})
        await self._pubsub.aclose()  # type: ignore[no-untyped-call]


class Connections:
    """What a node does: its connections, by their users, and what has been done with them."""

    def __init__(self, **users: str | None) -> None:
        self.users = users
        self.done: list[tuple[str | None, ...]] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.failure: Exception | None = None
        self.cancelled = 0

    async def join(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        await self._do("join", connection_id, user_id, thread)

    async def leave(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        await self._do("leave", connection_id, user_id, thread)

    async def close(self, connection_id: str, error: str | None) -> None:
        await self._do("close", connection_id, None, error)

    async def _do(self, what: str, connection_id: str, user_id: str | None, more: str | None) -> None:
        try:
            await self.may_go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        if connection_id not in self.users:
            raise ConnectionGoneError("there is no such connection")
        if user_id not in (None, self.users[connection_id]):
            raise ForbiddenError("not yours")
        self.done.append((what, connection_id, user_id, more))
