"""What an agent remembers of a run that was ended early: what was said, and no tool call without a result.

Model APIs refuse a conversation in which a call has no result, or a result no call before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_framework import AgentResponse, AgentSession, Message

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["settle_session", "settled"]


def settled(response: AgentResponse[Any]) -> AgentResponse[Any]:
    """The same response without tool calls that have no result, results that have no call, and messages that this
    leaves empty."""
    response.messages = _settled(response.messages)
    return response


def settle_session(session: AgentSession | None) -> None:
    """The same for the histories that the framework's providers keep in a session."""
    for state in session.state.values() if session is not None else ():
        if isinstance(state, dict) and _are_messages(state.get("messages")):
            state["messages"] = _settled(state["messages"])


def _are_messages(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Message) for item in value)


def _settled(messages: Iterable[Message]) -> list[Message]:
    messages = list(messages)
    contents = [content for message in messages for content in message.contents]
    called = {content.call_id for content in contents if content.type == "function_call"}
    paired = called & {content.call_id for content in contents if content.type == "function_result"}
    kept = []
    for message in messages:
        message.contents = [
            content
            for content in message.contents
            if content.type not in ("function_call", "function_result") or content.call_id in paired
        ]
        if message.contents:
            kept.append(message)
    return kept
