"""Agents as their entities run them: published, with a session of their own, and asked once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agent_framework import AgentResponse, AgentResponseUpdate, Message, ResponseStream

from streamsink.hosts.approvals import answer_message, pending_requests
from streamsink.hosts.attempt import Attempt, RunScope, current_scope
from streamsink.hosts.delegating_agent import DelegatingAgent
from streamsink.hosts.history import settled

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from agent_framework import AgentSession, Content, SupportsAgentRun

    from streamsink.core.sink import StreamSink
    from streamsink.hosts.agent_host import Answer
    from streamsink.hosts.functions.sessions import AskingSessions

__all__ = ["EntityAgent", "EntityScope"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityScope(RunScope):
    """A run that an entity executes.

    Args:
        accepted: our API has accepted the run: of its response, only what later turns may be given is kept.
        answer: what a person has answered, to be said in place of the entity's messages.
    """

    sink: StreamSink
    sessions: AskingSessions
    accepted: bool = False
    answer: Answer | None = None


class EntityAgent(DelegatingAgent):
    """An agent (``SupportsAgentRun``) that is published when its entity runs it, and left alone otherwise.

    The entity asks for a stream; when that fails, it asks again without one, tools included. This raises what keeps it
    from that, unless ``keep_rerun``: then the second answer is a new attempt, which replaces what the first one said.

    Args:
        time_limit_s: seconds that one attempt may take.
    """

    def __init__(self, inner: SupportsAgentRun, *, time_limit_s: float, keep_rerun: bool) -> None:
        super().__init__(inner)
        self._time_limit_s = time_limit_s
        self._keep_rerun = keep_rerun

    def run(self, messages: Any = None, *, stream: bool = False, **kwargs: Any) -> Any:
        scope = current_scope()
        if not isinstance(scope, EntityScope):
            how = {"stream": True} if stream else {}
            return self.inner.run(messages, **how, **kwargs)  # type: ignore[call-overload]
        turn = _Turn(self.inner, scope)
        attempt = Attempt(
            turn,
            scope.sink,
            RunScope(scope.thread, scope.request, turn.keep),
            messages,
            None,
            kwargs,
            self._time_limit_s,
            leave_open=stream and self._keep_rerun,
        )
        if not stream:
            return turn.settled(attempt.execute(_ignore))

        def final(updates: Sequence[AgentResponseUpdate]) -> AgentResponse[Any]:
            return turn.settle(attempt.final(updates))

        return ResponseStream(attempt.updates(), finalizer=final)


class _Turn(DelegatingAgent):
    """The wrapped agent for one attempt: in a fresh session, or, to answer, in the one that has asked."""

    def __init__(self, inner: SupportsAgentRun, scope: EntityScope) -> None:
        super().__init__(inner)
        self._scope = scope
        self._session: AgentSession | None = None
        self._approved: Content | None = None

    def run(self, messages: Any = None, *, stream: bool = False, session: Any = None, **kwargs: Any) -> Any:
        return self._ask(messages, stream, kwargs)

    async def _ask(self, messages: Any, stream: bool, kwargs: dict[str, Any]) -> Any:
        self._session, messages = await self._open(messages)
        how: dict[str, Any] = {"stream": True} if stream else {}
        answer: Any = self.inner.run(messages, session=self._session, **how, **kwargs)
        return answer if hasattr(answer, "__aiter__") else await answer

    async def _open(self, messages: Any) -> tuple[AgentSession, Any]:
        scope, answer = self._scope, self._scope.answer
        if answer is None:
            # Its id is a fresh one, too: the entity gives the whole conversation, and a store of histories that
            # knew this session would give it once more.
            return self.inner.create_session(), messages
        session = await scope.sessions.open(scope.thread, scope.request.agent_name, answer.approval_id)
        self._approved = pending_requests(session)[answer.approval_id].function_call
        return session, answer_message(session, answer.approval_id, approved=answer.approved)

    async def keep(self) -> None:
        """Keep what a later answer needs."""
        scope = self._scope
        if self._session is not None:
            await scope.sessions.keep(scope.thread, scope.request.agent_name, self._session, scope.answer)

    def settle(self, response: AgentResponse[Any]) -> AgentResponse[Any]:
        """The response as the entity may remember it: model APIs accept it in later turns.

        Who called the entity itself gets the agent's own response: a workflow looks for requests in it.
        """
        if response.created_at is None:  # the entity asks for it
            now = datetime.fromtimestamp(self._scope.sink.runtime.now_ms() / 1000, UTC)
            response.created_at = now.isoformat()
        if not self._scope.accepted:
            return response
        for message in response.messages:
            message.contents = [each for each in message.contents if each.type != "function_approval_request"]
        if self._approved is not None:  # the call is in the response of the run that asked
            response.messages.insert(0, Message("assistant", [self._approved]))
        return settled(response)

    async def settled(self, response: Coroutine[Any, Any, AgentResponse[Any]]) -> AgentResponse[Any]:
        """The same of one that is awaited."""
        return self.settle(await response)


async def _ignore(update: AgentResponseUpdate) -> None:
    return
