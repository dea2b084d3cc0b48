"""A model that says numbered tokens, and two ways to bring them to a client: ours, and one request per token."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import jwt

from streamsink.backends.memory.timeline import MemoryTimeline
from streamsink.backends.signalr.connection_string import AccessKey
from streamsink.backends.signalr.factory import signalr_sink
from streamsink.backends.signalr.settings import SignalRSettings
from streamsink.core.runtime import Runtime
from streamsink.core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamsink.backends.signalr.connection_string import ConnectionString
    from streamsink.core.composed import ComposedSink

HUB: Final = "bench"
THREAD: Final = "thread"


@dataclass(frozen=True)
class Model:
    """Args:
    tokens: how many it says; each is its number.
    per_s: how many a second. Who is slower finds them waiting, as in the buffers of a connection.
    thinks_s: before the first.
    """

    tokens: int
    per_s: float
    thinks_s: float

    def said_at(self, number: int) -> float:
        """When a token is said, in seconds after the model was asked."""
        return self.thinks_s + number / self.per_s

    async def stream(self) -> AsyncIterator[str]:
        """The tokens."""
        asked = time.monotonic()
        for number in range(self.tokens):
            await asyncio.sleep(max(0.0, asked + self.said_at(number) - time.monotonic()))
            yield f"{number:05d} "


def open_sink(service: ConnectionString) -> ComposedSink:
    """The signalr backend on a memory timeline, as it is without further settings."""
    own = SignalRSettings(connection_string=service, hub=HUB)
    runtime = Runtime()
    return signalr_sink(Settings(), own, runtime, MemoryTimeline(runtime=runtime))


class Sender(ABC):
    """Runs the model and sends what it says, through a service."""

    def __init__(self, service: ConnectionString) -> None:
        self.service = service

    @abstractmethod
    async def run(self, model: Model) -> float:
        """Returns, when all was sent, when the model was asked, in seconds of the monotonic clock."""


class Ours(Sender):
    """A run of the signalr backend."""

    async def run(self, model: Model) -> float:
        async with open_sink(self.service) as sink:
            async with sink.run(THREAD, message="Plan a trip.") as run:
                asked = time.monotonic()
                async for text in model.stream():
                    run.text(text)
            return asked


class RequestPerToken(Sender):
    """The way of Microsoft's sample (agent-framework, ``09_agent_streaming_signalr``): for each update a fresh HTTP
    client and one request, which the agent waits for; then one that says that this was all."""

    async def run(self, model: Model) -> float:
        asked = time.monotonic()
        async for text in model.stream():
            await self._send("agentMessage", text=text)
        await self._send("agentDone", status="completed")
        return asked

    async def _send(self, target: str, **fields: Any) -> None:
        assert isinstance(self.service.credential, AccessKey)
        url = f"{self.service.endpoint}/api/v1/hubs/{HUB}/groups/{THREAD}"
        token = jwt.encode({"aud": url, "exp": int(time.time()) + 3_600}, self.service.credential.value, "HS256")
        body = {"target": target, "arguments": [{"conversationId": THREAD, "correlationId": "run", **fields}]}
        async with httpx.AsyncClient(verify=False) as http:  # plain HTTP here: certificates need not be loaded
            (await http.post(url, json=body, headers={"authorization": f"Bearer {token}"})).raise_for_status()
