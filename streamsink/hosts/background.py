"""Runs agents as background tasks of this process, one at a time per thread and agent."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from streamsink.core.errors import (
    AttemptFailedError,
    BusyError,
    NotFoundError,
    StreamSinkError,
    UnavailableError,
)
from streamsink.core.failures import explain
from streamsink.core.patience import persist
from streamsink.hosts.agent_host import AgentHost, Answer, Job
from streamsink.hosts.agents import RunScope, StreamingAgent, run_scope
from streamsink.hosts.approvals import answer_message, pending_requests
from streamsink.hosts.failures import frames
from streamsink.hosts.sessions import Sessions, sessions_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence

    from agent_framework import AgentSession, SupportsAgentRun

    from streamsink.core.events import Terminal
    from streamsink.core.sink import StreamSink

__all__ = ["BackgroundHost"]

_log = logging.getLogger("streamsink")

# A run that was waiting when the host stopped still gets its terminal within so long.
_LAST_TURN_S: Final = 5.0
_STOPPED: Final = ("shutdown", "The host stopped before the answer began.")


class BackgroundHost(AgentHost):
    """Agents of this process.

    Args:
        agents: by the name that requests ask for.
        sessions: where agents' sessions wait between turns; None: where the sink keeps them for every node, or in
            this process.
        time_limit_s: of one run.
        queue_timeout_s: a run that waits longer for its turn is ended.
        max_runs_per_user: open at once, over all threads.
        max_runs: open at once, of everybody.
    """

    def __init__(
        self,
        sink: StreamSink,
        agents: Mapping[str, SupportsAgentRun],
        *,
        sessions: Sessions | None = None,
        time_limit_s: float = 600.0,
        queue_timeout_s: float = 300.0,
        max_runs_per_user: int = 8,
        max_runs: int = 200,
    ) -> None:
        self._sink = sink
        self._agents = {name: StreamingAgent(agent, sink, time_limit_s=time_limit_s) for name, agent in agents.items()}
        self._sessions = sessions or sessions_for(sink)
        self._queue_timeout_s = queue_timeout_s
        self._max_runs_per_user = max_runs_per_user
        self._max_runs = max_runs
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._open: Counter[str] = Counter()
        self._stopping = False

    @property
    def agents(self) -> Sequence[str]:
        return list(self._agents)

    @property
    def stops_runs(self) -> bool:
        return True

    @property
    def open_runs(self) -> int:
        return len(self._running)

    @asynccontextmanager
    async def reserve(self, user_id: str) -> AsyncIterator[None]:
        if self._stopping:
            raise UnavailableError("this host is stopping; try again")
        if self._open[user_id] >= self._max_runs_per_user:
            raise BusyError(f"{self._max_runs_per_user} of your runs are open; wait for one to end")
        if self._open.total() >= self._max_runs:
            raise BusyError("this host has as many open runs as it may; try again later")
        with self._counted(user_id):
            yield

    @contextmanager
    def _counted(self, user_id: str) -> Iterator[None]:
        self._open[user_id] += 1
        try:
            yield
        finally:
            self._open[user_id] -= 1
            if not self._open[user_id]:
                del self._open[user_id]

    async def start(self, job: Job) -> None:
        if self._stopping:
            await self._end_unstarted(job, *_STOPPED)
            raise UnavailableError("this host is stopping; try again")
        key = (job.thread, job.request.correlation_id)
        task = asyncio.get_running_loop().create_task(self._guarded(job), name=f"streamsink job {key[1]}")
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key))

    async def _guarded(self, job: Job) -> None:
        with self._counted(job.user_id):
            try:
                await self._execute(job)
            except Exception as error:
                # What could not be written now, a sweep will write.
                _log.error("run %s was lost: %s", job.request.correlation_id, frames(error))

    async def _execute(self, job: Job) -> None:
        try:
            await self._take_turn(job)
        except asyncio.CancelledError:
            await self._end_unstarted(job, *_STOPPED)
            raise
        except AttemptFailedError:
            return  # its terminal says so
        except StreamSinkError as error:
            await self._end_unstarted(job, error.code, str(error))
        except Exception as error:
            await self._end_unstarted(job, *explain(error))
            raise

    async def _take_turn(self, job: Job) -> None:
        while await persist(self._sink, lambda: self._wait_turn(job)):
            try:
                await self._run(job)
            except BusyError:
                continue  # somebody else's attempt was quicker
            return
        await self._sink.sweep(job.thread)

    async def _wait_turn(self, job: Job) -> bool:
        return await self._sink.wait_turn(job.thread, job.request.correlation_id, timeout_s=self._queue_timeout_s)

    async def _run(self, job: Job) -> None:
        name = job.request.agent_name
        agent = self._agents[name]
        session = await persist(self._sink, lambda: self._sessions.get(job.thread, name))
        session = session or agent.create_session(session_id=job.thread)
        keep = partial(self._sessions.put, job.thread, name, session)
        with run_scope(RunScope(job.thread, job.request, keep)):
            await agent.run(_messages(job, session), session=session)

    async def _end_unstarted(self, job: Job, code: str, message: str) -> None:
        """Give a run that this host could not begin its terminal."""
        run = await self._sink.get_run(job.thread, job.request.correlation_id)
        if run is None or run.state != "accepted":
            return
        if await self._sink.wait_turn(job.thread, run.correlation_id, timeout_s=_LAST_TURN_S):
            async with self._sink.run(job.thread, request=job.request) as publisher:
                await publisher.finish("failed", code=code, message=message)

    async def wait(self, thread: str, correlation_id: str, *, timeout_s: float) -> Terminal | None:
        task = self._running.get((thread, correlation_id))
        if task is not None:
            await asyncio.wait({task}, timeout=timeout_s)
        run = await self._sink.get_run(thread, correlation_id)
        return run.terminal if run is not None else None

    async def check_answer(self, thread: str, agent: str, answer: Answer) -> None:
        session = await self._sessions.get(thread, agent)
        if session is None or answer.approval_id not in pending_requests(session):
            raise NotFoundError("this agent does not wait for an answer to that request")

    async def forget(self, thread: str) -> None:
        await _end([task for key, task in self._running.items() if key[0] == thread])
        await self._sessions.delete(thread)

    async def aclose(self, *, drain_s: float) -> None:
        self._stopping = True
        if self._running:
            await asyncio.wait(set(self._running.values()), timeout=drain_s)
        await _end(list(self._running.values()))


def _messages(job: Job, session: AgentSession) -> Any:
    if job.answer is None:
        return job.prompt
    return answer_message(session, job.answer.approval_id, approved=job.answer.approved)


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
