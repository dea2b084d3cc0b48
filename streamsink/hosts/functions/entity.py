"""Agents' entities: each operation that runs an agent is a run of a timeline, with one terminal."""

from __future__ import annotations

import logging
from functools import wraps
from typing import TYPE_CHECKING, Final

from agent_framework_durabletask import DurableAgentState

from streamsink.core.errors import StreamSinkError
from streamsink.core.handing_over import HandsOver
from streamsink.core.patience import persist
from streamsink.hosts.attempt import run_scope
from streamsink.hosts.failures import frames
from streamsink.hosts.functions.agent import EntityScope
from streamsink.hosts.functions.ends import end_run
from streamsink.hosts.functions.entity_keys import thread_of
from streamsink.hosts.functions.operations import RESET, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, TypeAlias

    from agent_framework import AgentResponse
    from azure.durable_functions import DurableEntityContext

    from streamsink.core.settings import Times
    from streamsink.hosts.assembly import Assembly
    from streamsink.hosts.functions.agent_loop import AgentLoop
    from streamsink.hosts.functions.host import EntityHost
    from streamsink.hosts.functions.parts import Parts

    EntityFunction: TypeAlias = Callable[[DurableEntityContext], None]

__all__ = ["StreamedEntities"]

_log = logging.getLogger("streamsink")

# Deliveries that failed are tried again for so long before the operation returns: afterwards the platform may stop
# this process.
_FLUSH_S: Final = 15.0


class StreamedEntities:
    """Wraps entity functions.

    Args:
        several_workers: whether another process may have accepted what this one executes.
    """

    def __init__(
        self, parts: Parts[Assembly[EntityHost]], loop: AgentLoop, times: Times, *, several_workers: bool
    ) -> None:
        self._parts = parts
        self._times = times
        self._loop = loop
        self._several_workers = several_workers

    def wrap(self, agent: str, function: EntityFunction) -> EntityFunction:
        """The entity function of an agent, streamed."""

        @wraps(function)
        def entity_function(context: DurableEntityContext) -> None:
            thread = thread_of(context.entity_key)
            operation = Operation.read(context)
            if context.operation_name == RESET and context.get_state() is None:
                _reset_nothing(context)
            elif thread is None or operation is None:
                function(context)
            elif (known := _remembered(context, operation.correlation_id)) is not None:
                context.set_result(known.to_dict())  # the operation has come twice
            else:
                self._execute(thread, agent, operation, lambda: function(context))

        return entity_function

    def _execute(self, thread: str, agent: str, operation: Operation, run: Callable[[], None]) -> None:
        try:
            scope = self._here(lambda: self._begin(thread, agent, operation))
        except StreamSinkError as error:
            # A sweep ends the run. The operation fails, so that whoever called the entity hears of it.
            _log.error("run %s was not executed: %s", operation.correlation_id, frames(error))
            raise
        try:
            with run_scope(scope):  # the framework's coroutine takes it along to its loop
                run()
        finally:
            self._here(lambda: self._end(scope))

    def _here(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return self._loop.call_from_thread(work)

    async def _begin(self, thread: str, agent: str, operation: Operation) -> EntityScope:
        """Make sure of the run, and show that an earlier attempt's worker has died: an entity executes one operation
        at a time."""
        assembly = await self._parts.get()
        sink = assembly.sink
        told = operation.accepted and self._several_workers and sink.ability(HandsOver) is not None
        request = operation.request(sink, thread, agent, self._times, told=told)
        run = (await persist(sink, lambda: sink.accept_run(thread, request))).run
        if run.state == "executing":
            await persist(sink, lambda: sink.interrupt(thread, run.correlation_id, run.attempt))
        return EntityScope(
            thread,
            request,
            sink=sink,
            sessions=assembly.host.sessions,
            accepted=operation.accepted,
            answer=operation.answer,
        )

    async def _end(self, scope: EntityScope) -> None:
        """See to the terminal, and to its delivery, before the operation returns."""
        try:
            run = await scope.sink.get_run(scope.thread, scope.request.correlation_id)
            if run is not None and run.terminal is None:
                await end_run(scope.sink, scope.thread, scope.request, "The agent did not complete its answer.")
            if not await scope.sink.flush(scope.thread, timeout_s=_FLUSH_S):
                _log.warning("run %s: its end has not been delivered yet", scope.request.correlation_id)
        except StreamSinkError as error:
            _log.warning("run %s: a sweep will see to its end: %s", scope.request.correlation_id, type(error).__name__)


def _reset_nothing(context: DurableEntityContext) -> None:
    """As the framework, which would make an entity for it."""
    context.set_result({"status": "reset"})
    context.destruct_on_exit()


def _remembered(context: DurableEntityContext, correlation_id: str) -> AgentResponse[Any] | None:
    """The response that the entity has given to this very request, and saved: the framework would ask once more."""
    state = context.get_state()
    if not isinstance(state, dict):
        return None
    return DurableAgentState.from_dict(state).try_get_agent_response(correlation_id)
