"""A signalr sink, for whatever service a connection string names; and a scripted service."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import httpx

from streamsink.backends.memory.timeline import MemoryTimeline
from streamsink.backends.signalr.factory import signalr_sink
from streamsink.backends.signalr.settings import SignalRSettings
from streamsink.core.runtime import Runtime
from streamsink.core.settings import Settings
from streamsink.core.variables import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamsink.core.composed import ComposedSink
    from streamsink.core.timeline import Timeline

KEY: Final = "1" * 44
OTHER_KEY: Final = "2" * 44
HOST: Final = "https://x.test"
CONNECTION_STRING: Final = f"Endpoint={HOST};AccessKey={KEY};Version=1.0;"

Step: TypeAlias = "httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]"


def make_sink(
    connection_string: str = CONNECTION_STRING,
    *,
    hub: str = "chat",
    timeline: Timeline | None = None,
    settings: Settings | None = None,
    runtime: Runtime | None = None,
    environ: dict[str, str] | None = None,
    **client: Any,
) -> ComposedSink:
    """A sink that delivers through the service of that connection string, on a memory timeline unless told otherwise.

    Args:
        environ: more of the backend's variables.
        client: passed to ``SignalRClient``.
    """
    runtime = runtime or Runtime()
    variables = {"STREAM_SIGNALR_CONNECTION_STRING": connection_string, "STREAM_SIGNALR_HUB": hub, **(environ or {})}
    own = read(SignalRSettings, variables)
    return signalr_sink(settings or Settings(), own, runtime, timeline or MemoryTimeline(runtime=runtime), **client)


@dataclass
class Service:
    """A service that answers as it is told, and 202 otherwise.

    Attributes:
        steps: the next answers, or what happens instead.
        requests: every request that came.
        delay_s: how long it takes to answer.
    """

    steps: deque[Step] = field(default_factory=deque)
    requests: list[httpx.Request] = field(default_factory=list)
    delay_s: float = 0.0

    def script(self, *steps: int | Step) -> None:
        """What the next requests get; a number is a status."""
        self.steps.extend(httpx.Response(step) if isinstance(step, int) else step for step in steps)

    @property
    def asked(self) -> list[str]:
        """The method and path of every request, as they were sent."""
        return [f"{each.method} {each.url.raw_path.decode().partition('?')[0]}" for each in self.requests]

    async def answer(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self.delay_s)
        self.requests.append(request)
        step = self.steps.popleft() if self.steps else httpx.Response(202)
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, httpx.Response) else step(request)

    def transport(self) -> httpx.MockTransport:
        """What carries requests here."""
        return httpx.MockTransport(self.answer)


def loop_clock() -> float:
    """The running loop's time, which may be virtual."""
    return asyncio.get_running_loop().time()


def on(service: Service) -> dict[str, Any]:
    """What makes a ``SignalRClient`` ask that service, on the loop's time."""
    return {"transport": service.transport, "clock": loop_clock}
