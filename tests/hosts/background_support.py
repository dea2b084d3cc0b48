"""A host for agents in the background, and jobs for it, on one thread."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from streamsink.core.runs import RunRequest
from streamsink.hosts.agent_host import Job
from streamsink.hosts.background import BackgroundHost
from streamsink.hosts.sessions import MemorySessions

from .attempt_support import T, memory_sink
from .support import Model, ends_of, make_agent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamsink.core.sink import StreamSink


class Bench:
    """A host, and jobs for it."""

    def __init__(self, sink: StreamSink, *agents: Any, **options: Any) -> None:
        self.sink = sink
        self.sessions = options.pop("sessions", None) or MemorySessions()
        by_name = {agent.name: agent for agent in agents}
        self.host = BackgroundHost(sink, by_name, sessions=self.sessions, **options)
        self.count = 0

    async def start(self, prompt: str = "Hi", *, agent: str = "Robot", user: str = "ann", **more: Any) -> str:
        self.count += 1
        request = RunRequest(correlation_id=f"r{self.count}", agent_name=agent, queue_limit=100, **more)
        await self.sink.accept_run(T, request)
        await self.host.start(Job(thread=T, request=request, user_id=user, prompt=prompt))
        return request.correlation_id

    async def done(self, count: int = 1) -> list[tuple[str, str | None]]:
        return await ends_of(self.sink, T, count)

    async def texts(self, agent: str = "Robot") -> list[str]:
        """What the agent remembers."""
        session = await self.sessions.get(T, agent)
        messages = session.state["in_memory"]["messages"] if session is not None else []
        return [f"{message.role}: {message.text}" for message in messages]


@asynccontextmanager
async def bench(*replies: Any, tools: Any = (), drain_s: float = 0, **options: Any) -> AsyncIterator[Bench]:
    agents = options.pop("agents", None) or [make_agent(Model(*replies), tools=tools)]
    async with memory_sink() as sink:
        made = Bench(sink, *agents, **options)
        yield made
        await made.host.aclose(drain_s=drain_s)
