"""What an agent remembers of a run that was ended early."""

from __future__ import annotations

from agent_framework import AgentResponse, AgentSession, Content, Message

from streamsink.hosts.history import settle_session, settled


def conversation() -> list[Message]:
    """One call with a result, one without, one message that has nothing else."""
    return [
        Message("user", [Content.from_text("Hi")]),
        Message("assistant", [Content.from_function_call("c1", "f"), Content.from_function_call("c2", "f")]),
        Message("tool", [Content.from_function_result("c1", result="x")]),
        Message("assistant", [Content.from_text("Let me see"), Content.from_function_call("c3", "f")]),
        Message("assistant", [Content.from_function_call("c4", "f")]),
    ]


def said(messages: list[Message]) -> list[list[str]]:
    return [[content.call_id or content.text or "" for content in message.contents] for message in messages]


SETTLED = [["Hi"], ["c1"], ["c1"], ["Let me see"]]


def test_a_response_keeps_no_call_without_a_result() -> None:
    response = settled(AgentResponse(messages=conversation()))

    assert said(response.messages) == SETTLED
    assert response.text == "HiLet me see"


def test_a_session_keeps_none_either_in_any_history() -> None:
    session = AgentSession(session_id="s")
    session.state = {
        "in_memory": {"messages": conversation()},
        "another": {"messages": conversation(), "more": 1},
        "not_a_history": {"messages": ["text"]},
        "empty": {"messages": None},
        "value": 5,
    }

    settle_session(session)

    assert said(session.state["in_memory"]["messages"]) == SETTLED
    assert said(session.state["another"]["messages"]) == SETTLED
    assert session.state["not_a_history"] == {"messages": ["text"]}
    assert session.state["value"] == 5


def test_there_may_be_no_session() -> None:
    settle_session(None)


def test_a_response_keeps_no_result_without_a_call() -> None:
    """The call may be in the response of another run."""
    messages = [
        Message("tool", [Content.from_function_result("c1", result="x")]),
        Message("assistant", [Content.from_text("Done.")]),
    ]

    assert said(settled(AgentResponse(messages=messages)).messages) == [["Done."]]
