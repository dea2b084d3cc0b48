"""An agent's updates as Agent Framework makes them, without the framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Content", "Update", "call", "text", "update"]


@dataclass
class Content:
    """As ``agent_framework.Content``: one class for all kinds."""

    type: str
    merge_mode: str | None = None
    text: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: Any = None
    result: Any = None
    exception: str | None = None
    items: list[Content] | None = None
    usage_details: dict[str, Any] | None = None
    error_code: str | None = None
    error_details: str | None = None
    message: str | None = None
    id: str | None = None
    function_call: Content | None = None
    uri: str | None = None


@dataclass
class Update:
    """As ``agent_framework.AgentResponseUpdate``."""

    contents: list[Content] = field(default_factory=list)
    message_id: str | None = None
    merge_mode: str | None = None


def update(*contents: Content, message_id: str | None = "m1", merge_mode: str | None = None) -> Update:
    """An update of these contents."""
    return Update(list(contents), message_id, merge_mode)


def text(said: str, merge_mode: str | None = None) -> Content:
    """A piece of text."""
    return Content("text", text=said, merge_mode=merge_mode)


def call(arguments: Any, name: str | None = None, call_id: str = "k1", merge_mode: str | None = None) -> Content:
    """A piece of a tool call."""
    return Content("function_call", call_id=call_id, name=name, arguments=arguments, merge_mode=merge_mode)
