"""What an agent's entity is asked: the framework's run request, and beside it what only we understand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent_framework_durabletask import RunRequest as DurableRequest

from streamsink.core.drafts import data_draft
from streamsink.core.errors import InvalidRequestError
from streamsink.core.events import USER_MESSAGE, Envelope
from streamsink.core.names import CORRELATION_ID
from streamsink.core.runs import RunRequest
from streamsink.core.user_messages import user_message_fields
from streamsink.hosts.agent_host import Answer

if TYPE_CHECKING:
    from azure.durable_functions import DurableEntityContext

    from streamsink.core.settings import Times
    from streamsink.core.sink import StreamSink
    from streamsink.hosts.agent_host import Job

__all__ = ["RESET", "RUN", "Operation", "run_input"]

RUN: Final = "run"
RESET: Final = "reset"
_RUNS: Final = (RUN, "run_agent")  # the framework's old name
# The framework ignores members that it does not know (pinned by a test).
_OURS: Final = "streamsink"


def run_input(job: Job) -> dict[str, Any]:
    """The input of the operation that executes an accepted run."""
    prompt, ours = job.prompt, {}
    if job.answer is not None:
        # What the entity remembers as said by the user; the model is given the answer itself.
        prompt = "Approved." if job.answer.approved else "Declined."
        ours = {"approvalId": job.answer.approval_id, "approved": job.answer.approved}
    request = DurableRequest(message=prompt, correlation_id=job.request.correlation_id, wait_for_response=False)
    return {**request.to_dict(), _OURS: ours}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation that runs an agent.

    Args:
        accepted: our API has accepted the run; otherwise an orchestration, a workflow or a tool call asks.
    """

    correlation_id: str
    message: str
    accepted: bool
    answer: Answer | None = None

    @classmethod
    def read(cls, context: DurableEntityContext) -> Operation | None:
        """The operation; None when it runs no agent, or names no run that could be published."""
        content = context.get_input() if context.operation_name in _RUNS else None
        if not isinstance(content, dict):
            return None
        try:
            correlation_id = CORRELATION_ID.validate(content.get("correlationId"))
        except InvalidRequestError:
            return None
        ours, message = content.get(_OURS), content.get("message")
        return cls(
            correlation_id=correlation_id,
            message=message if isinstance(message, str) else "",
            accepted=ours is not None,
            answer=Answer(approval_id=ours["approvalId"], approved=ours["approved"]) if ours else None,
        )

    def request(self, sink: StreamSink, thread: str, agent: str, times: Times, *, told: bool) -> RunRequest:
        """The run, for a timeline that may not know it.

        Args:
            told: somebody else has shown what the user said.
        """
        message = None
        if not told:
            fields = user_message_fields(self.correlation_id, self.message)
            draft = data_draft(USER_MESSAGE, fields, at_ms=sink.runtime.now_ms())
            envelope = Envelope(thread, self.correlation_id, agent)
            message = next(draft.records(envelope, 0, sink.options.max_event_bytes))
        return RunRequest(
            correlation_id=self.correlation_id,
            agent_name=agent,
            message=message,
            queue_timeout_s=times.queue_timeout_s,
            redelivery_s=times.redelivery_s,
            ordered=False,
        )
