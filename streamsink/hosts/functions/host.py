"""Runs agents as durable entities: accepted here, executed wherever the platform says."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from streamsink.core.errors import NotFoundError, StreamSinkError, UnavailableError
from streamsink.core.events import Terminal
from streamsink.core.handing_over import HandsOver
from streamsink.hosts.agent_host import AgentHost, Answer, Job
from streamsink.hosts.functions.durable import current_entities
from streamsink.hosts.functions.ends import end_run
from streamsink.hosts.functions.open_runs import OpenRuns
from streamsink.hosts.functions.operations import RESET, RUN, run_input
from streamsink.hosts.functions.sessions import AskingSessions
from streamsink.hosts.responses import encode_response
from streamsink.hosts.sessions import sessions_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from streamsink.core.runs import Run
    from streamsink.core.settings import Settings
    from streamsink.core.sink import StreamSink

__all__ = ["EntityHost"]

_log = logging.getLogger("streamsink")

_FIRST_LOOK_S: Final = 0.05
_LONGEST_LOOK_S: Final = 1.0


class EntityHost(AgentHost):
    """The durable entities of the app's agents.

    Args:
        reachable: names the agents that the API offers.
        remembering: names those whose entities may remember something.
        several_workers: whether another process may execute what this one accepts.
    """

    def __init__(
        self,
        sink: StreamSink,
        settings: Settings,
        *,
        reachable: Callable[[], Sequence[str]],
        remembering: Callable[[], Sequence[str]],
        several_workers: bool,
    ) -> None:
        limits = settings.limits
        self._sink = sink
        self._reachable = reachable
        self._remembering = remembering
        # Of a timeline that each process has for itself: what is accepted here is executed in another one's.
        self._elsewhere = sink.ability(HandsOver) if several_workers else None
        self._open = OpenRuns(sink, max_per_user=limits.max_runs_per_user, max_runs=limits.max_runs)
        self.sessions: AskingSessions = AskingSessions(sessions_for(sink))

    @property
    def agents(self) -> Sequence[str]:
        return self._reachable()

    @property
    def stops_runs(self) -> bool:
        return self._elsewhere is None

    def reserve(self, user_id: str) -> AbstractAsyncContextManager[None]:
        return self._open.reserve(user_id)

    async def start(self, job: Job) -> None:
        """As ``AgentHost.start``. An entity that executes the run nevertheless finds its terminal."""
        correlation_id = job.request.correlation_id
        try:
            await current_entities().signal(job.request.agent_name, job.thread, RUN, run_input(job))
        except UnavailableError:
            await self._end_unstarted(job)
            raise
        if self._elsewhere is None:
            self._open.add(job.user_id, job.thread, correlation_id)
        else:
            await self._elsewhere.hand_over(job.thread, correlation_id)

    async def _end_unstarted(self, job: Job) -> None:
        try:
            await end_run(self._sink, job.thread, job.request, "The agent could not be reached.")
        except StreamSinkError as error:
            _log.warning("run %s: a sweep will end it: %s", job.request.correlation_id, type(error).__name__)

    async def wait(self, thread: str, correlation_id: str, *, timeout_s: float) -> Terminal | None:
        """As ``AgentHost.wait``, by looking: another process executes the run."""
        look_s, loop = _FIRST_LOOK_S, asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while (run := await self._sink.get_run(thread, correlation_id)) is not None:
            terminal = run.terminal or await self._remembered(thread, run)
            if terminal is not None or loop.time() >= end:
                return terminal
            await asyncio.sleep(min(look_s, end - loop.time()))
            look_s = min(look_s * 1.5, _LONGEST_LOOK_S)
        return None

    async def _remembered(self, thread: str, run: Run) -> Terminal | None:
        """How a run has ended whose timeline this process does not see, as far as its entity remembers."""
        if self._elsewhere is None:
            return None
        response = await current_entities().response(run.agent_name, thread, run.correlation_id)
        if response is None:
            return None
        if any(content.type == "error" for message in response.messages for content in message.contents):
            return Terminal("failed", "agent_error")
        return Terminal("completed", response=encode_response(response.text, response.to_dict()))

    async def check_answer(self, thread: str, agent: str, answer: Answer) -> None:
        if await self.sessions.find(thread, agent, answer.approval_id) is None:
            raise NotFoundError("this agent does not wait for an answer to that request")

    async def forget(self, thread: str) -> None:
        """As ``AgentHost.forget``: what runs has been cancelled with its thread; what the entities remember is reset
        after it.

        Raises:
            UnavailableError: not all of it is known to be forgotten; the same call may be made again.
        """
        self._open.forget(thread)
        await self.sessions.delete(thread)
        # Also where nothing is remembered yet: what is executing now is kept in a moment, and reset behind it.
        await asyncio.gather(*(current_entities().signal(agent, thread, RESET) for agent in self._remembering()))

    async def aclose(self, *, drain_s: float) -> None:
        """Nothing: runs are executed wherever the platform says."""
