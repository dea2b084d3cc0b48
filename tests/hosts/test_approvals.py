"""Answering what a tool asked a person."""

from __future__ import annotations

import pytest
from agent_framework import AgentSession, Content

from streamsink.core.errors import ConflictError
from streamsink.hosts.approvals import answer_message, pending_requests


def request(name: str = "a1") -> Content:
    call = Content.from_function_call("c1", "erase", arguments='{"name":"x"}')
    return Content.from_function_approval_request(id=name, function_call=call)


def waiting(*requests: object) -> AgentSession:
    session = AgentSession(session_id="s")
    session.state["tool_approval"] = {"pending_approval_requests": list(requests)}
    return session


def test_requests_are_known_as_the_framework_keeps_them() -> None:
    """As objects, and as JSON once the session has been stored."""
    pending = pending_requests(waiting(request("a1"), request("a2").to_dict()))

    assert list(pending) == ["a1", "a2"]
    assert [content.type for content in pending.values()] == ["function_approval_request"] * 2


def test_most_sessions_wait_for_nothing() -> None:
    assert pending_requests(AgentSession(session_id="s")) == {}


@pytest.mark.parametrize("approved", [True, False])
def test_an_answer_says_what_was_asked_and_nothing_else(approved: bool) -> None:
    message = answer_message(waiting(request()), "a1", approved=approved)

    [content] = message.contents
    assert (message.role, content.type) == ("user", "function_approval_response")
    assert content.approved is approved
    assert content.function_call is not None
    assert content.function_call.arguments == '{"name":"x"}'


def test_what_is_not_asked_any_more_cannot_be_answered() -> None:
    with pytest.raises(ConflictError):
        answer_message(waiting(request("other")), "a1", approved=True)
