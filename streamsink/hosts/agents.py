"""The one seam for agents: a wrapper that publishes every execution of the agent it wraps.

Each ``run()`` is one attempt at a run. The wrapper sees starts, updates, failures and repetitions, and ends a
stream cleanly when somebody cancels: the partial answer stays in the history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_framework import ResponseStream, WorkflowAgent

from streamsink.core.errors import SettingsError
from streamsink.core.runs import RunRequest
from streamsink.hosts.attempt import Attempt, RunScope, current_scope, run_scope
from streamsink.hosts.delegating_agent import DelegatingAgent

if TYPE_CHECKING:
    from agent_framework import AgentResponseUpdate, AgentSession, SupportsAgentRun

    from streamsink.core.sink import StreamSink

__all__ = ["RunScope", "StreamingAgent", "check_shareable", "run_scope"]


class StreamingAgent(DelegatingAgent):
    """An agent (``SupportsAgentRun``) that publishes what the wrapped agent does.

    The run is the one of the surrounding ``run_scope``; without one, a new run on the thread that the session's id
    names; without a session nothing is published.

    Once an attempt has begun, its failure is an ``AttemptFailedError``: its agent must not be asked again.

    Args:
        inner: the agent.
        sink: where to publish.
        time_limit_s: seconds that one attempt may take; it then fails with ``time_limit``.
    """

    def __init__(self, inner: SupportsAgentRun, sink: StreamSink, *, time_limit_s: float | None = None) -> None:
        super().__init__(inner)
        self._sink = sink
        self._time_limit_s = time_limit_s

    def run(
        self, messages: Any = None, *, stream: bool = False, session: AgentSession | None = None, **kwargs: Any
    ) -> Any:
        scope = current_scope() or self._scope_of(session)
        if scope is None:
            return self.inner.run(messages, stream=stream, session=session, **kwargs)  # type: ignore[call-overload]
        attempt = Attempt(self.inner, self._sink, scope, messages, session, kwargs, self._time_limit_s)
        if stream:
            return ResponseStream(attempt.updates(), finalizer=attempt.final)
        return attempt.execute(_ignore)

    def _scope_of(self, session: AgentSession | None) -> RunScope | None:
        if session is None:
            return None
        name = self.name or self.id
        return RunScope(session.session_id, RunRequest(correlation_id=self._sink.runtime.new_id(), agent_name=name))


def check_shareable(agent: object) -> None:
    """Whether people may be offered an agent.

    Raises:
        SettingsError: it has one memory for all conversations (agent-framework-core 1.23.0): one would hear another.
    """
    if isinstance(agent, WorkflowAgent):
        raise SettingsError(
            "AGENTS",
            f"agents that conversations can share: in the workflow behind {agent.name or agent.id!r} one hears what "
            'was said in another; "A workflow" in docs/publishing.md offers a workflow of its own for each run',
        )


async def _ignore(update: AgentResponseUpdate) -> None:
    return
