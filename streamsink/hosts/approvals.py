"""Answering what a tool asked a person.

The framework honours an answer only through the session that holds the request, and only for the arguments that
were asked about (agent-framework-core 1.23.0: ``session.state["tool_approval"]["pending_approval_requests"]``).
"""

from __future__ import annotations

from agent_framework import AgentSession, Content, Message

from streamsink.core.errors import ConflictError

__all__ = ["answer_message", "pending_requests"]


def pending_requests(session: AgentSession) -> dict[str, Content]:
    """The requests that wait for an answer, by id."""
    waiting = session.state.get("tool_approval", {}).get("pending_approval_requests", ())
    requests = [Content.from_dict(item) if isinstance(item, dict) else item for item in waiting]
    return {str(request.id): request for request in requests}


def answer_message(session: AgentSession, approval_id: str, *, approved: bool) -> Message:
    """The message that answers a request.

    Raises:
        ConflictError: the session does not, or no longer, wait for it.
    """
    request = pending_requests(session).get(approval_id)
    if request is None:
        raise ConflictError("this request has been answered, or the conversation has moved on")
    return Message("user", [request.to_function_approval_response(approved)])
