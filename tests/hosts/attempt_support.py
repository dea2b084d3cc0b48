"""A sink on virtual time, and agents whose attempts are looked at one by one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent_framework import AgentResponse, AgentResponseUpdate, Content, Message

from streamsink.core.runs import RunRequest
from streamsink.core.settings import Settings
from streamsink.hosts.agents import RunScope, StreamingAgent, run_scope
from streamsink.opening import open_sink
from streamsink.testing.clock import virtual_runtime

from .support import Model, make_agent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from agent_framework import AgentSession

    from streamsink.core.sink import StreamSink

T = "thread"


@asynccontextmanager
async def memory_sink(**options: Any) -> AsyncIterator[StreamSink]:
    async with open_sink(Settings(), environ={}, runtime=virtual_runtime()) as sink:
        sink.options = replace(sink.options, **options)
        yield sink


def wrapped(sink: StreamSink, *replies: Any, tools: Any = (), time_limit_s: float | None = None) -> StreamingAgent:
    return StreamingAgent(make_agent(Model(*replies), tools=tools), sink, time_limit_s=time_limit_s)


def scope_of(name: str = "r1") -> RunScope:
    return RunScope(T, RunRequest(correlation_id=name, agent_name="Robot"))


async def run(agent: StreamingAgent, scope: RunScope | None = None, session: AgentSession | None = None) -> Any:
    """Execute a run as a host does."""
    with run_scope(scope or scope_of()):
        return await agent.run("Hi", session=session or agent.create_session(session_id=T))


class Plain:
    """An agent that answers as it is told to, without the framework's machinery."""

    id: str = "plain"
    name: str | None = "Plain"
    description: str | None = None

    def __init__(self, answer: Callable[[bool], Any]) -> None:
        self._answer = answer
        self.calls: list[bool] = []

    def run(self, messages: Any = None, *, stream: bool = False, session: Any = None, **kwargs: Any) -> Any:
        self.calls.append(stream)
        return self._answer(stream)

    def create_session(self, *, session_id: str | None = None) -> Any:
        raise NotImplementedError

    def get_session(self, service_session_id: Any, *, session_id: str | None = None) -> Any:
        return (service_session_id, session_id)


def answered(text: str) -> AgentResponse[Any]:
    return AgentResponse(messages=[Message("assistant", [Content.from_text(text)])])


def update(text: str) -> AgentResponseUpdate:
    return AgentResponseUpdate(contents=[Content.from_text(text)], role="assistant", message_id="m")


async def whole(text: str) -> AgentResponse[Any]:
    return answered(text)


async def run_plain(agent: Any, sink: StreamSink) -> Any:
    with run_scope(scope_of()):
        return await StreamingAgent(agent, sink).run("Hi")
