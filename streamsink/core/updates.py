"""What an agent's updates say, as drafts.

Agent Framework's updates are read by structure, so that a publisher needs no framework: an update has ``contents``,
each with a ``type`` (agent-framework-core 1.23.0, ``AgentResponseUpdate`` and ``Content``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from streamsink.core import utf16
from streamsink.core.drafts import Draft, Mode, Texts, data_draft
from streamsink.core.events import (
    AGENT_APPROVAL,
    AGENT_CONTENT,
    AGENT_MESSAGE,
    AGENT_REASONING,
    AGENT_TOOL_CALL,
    AGENT_TOOL_RESULT,
)

__all__ = ["UpdateReader"]

# The framework's names for a content's own members; what describes its transport is not an event's business.
_HIDDEN: Final = frozenset({"type", "raw_representation", "additional_properties", "annotations", "exception"})


class UpdateReader:
    """Turns the updates of one attempt into drafts, and sums its usage."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._tool_names: dict[str, str] = {}
        self.usage: dict[str, int] = {}

    def read(self, update: Any, *, at_ms: int) -> Iterator[Draft]:
        """The drafts that say what ``update`` says; a plain string is a piece of text."""
        if isinstance(update, str):
            yield from self._streamed(AGENT_MESSAGE, None, update, "append", at_ms)
            return
        mode: Mode = "replace" if getattr(update, "merge_mode", None) == "replace" else "append"
        message_id = getattr(update, "message_id", None)
        for content in update.contents:
            for draft in self._content(content, message_id, mode, at_ms):
                yield draft
                if draft.target == AGENT_MESSAGE:
                    mode = "append"  # an update replaces its message once; what follows in it adds

    def _content(self, content: Any, message_id: str | None, mode: Mode, at_ms: int) -> Iterator[Draft]:
        kind = str(content.type)
        if kind in ("text", "text_reasoning"):
            target = AGENT_MESSAGE if kind == "text" else AGENT_REASONING
            own_mode: Mode = "replace" if content.merge_mode == "replace" else mode
            yield from self._streamed(target, message_id, content.text or "", own_mode, at_ms)
            return
        if kind == "usage":
            if content.merge_mode == "replace":  # this one is the total so far
                self.usage.clear()
            self._add_usage(content.usage_details or {})
            return
        self._texts.break_automatic()
        yield from self._reader(kind)(content, at_ms)

    def _reader(self, kind: str) -> Callable[[Any, int], Iterator[Draft]]:
        match kind:
            case "function_call":
                return self._tool_call
            case "function_result":
                return self._tool_result
            case "function_approval_request":
                return self._approval
            case "error":
                return self._error
            case _:
                return self._other

    def _streamed(self, target: str, key: str | None, text: str, mode: Mode, at_ms: int) -> Iterator[Draft]:
        if text or mode == "replace":
            yield from self._piece(target, key or self._texts.automatic_key(), text, mode, at_ms)

    def _piece(self, target: str, key: str, text: str, mode: Mode, at_ms: int, **extra: str) -> Iterator[Draft]:
        draft = self._texts.piece(target, key, text, mode, at_ms=at_ms, extra=extra)
        if draft is not None:
            yield draft

    def _tool_call(self, content: Any, at_ms: int) -> Iterator[Draft]:
        call_id = str(content.call_id)
        name = self._tool_names[call_id] = self._tool_names.get(call_id) or utf16.clean(content.name or "")
        mode: Mode = "replace" if content.merge_mode == "replace" else "append"
        arguments = as_json_text(content.arguments)
        yield from self._piece(AGENT_TOOL_CALL, call_id, arguments, mode, at_ms, name=name)

    def _tool_result(self, content: Any, at_ms: int) -> Iterator[Draft]:
        fields = {
            "callId": str(content.call_id),
            "status": "completed" if content.exception is None else "failed",
            "result": content.result,
        }
        yield data_draft(AGENT_TOOL_RESULT, plain(fields), at_ms=at_ms)
        for item in content.items or ():
            if item.type != "text":
                yield from self._other(item, at_ms)

    def _approval(self, content: Any, at_ms: int) -> Iterator[Draft]:
        call = content.function_call
        fields = {
            "approvalId": str(content.id),
            "callId": str(call.call_id),
            "name": str(call.name or ""),
            "arguments": as_json_text(call.arguments),
        }
        yield data_draft(AGENT_APPROVAL, plain(fields), at_ms=at_ms)

    def _error(self, content: Any, at_ms: int) -> Iterator[Draft]:
        # The details are the provider's own diagnostics; code and message are meant for people.
        fields = {"contentType": "error", "content": {"code": content.error_code, "message": content.message}}
        yield data_draft(AGENT_CONTENT, plain(fields), at_ms=at_ms)

    def _other(self, content: Any, at_ms: int) -> Iterator[Draft]:
        fields = {"contentType": utf16.clean(str(content.type)), "content": members(content)}
        yield data_draft(AGENT_CONTENT, fields, at_ms=at_ms)

    def _add_usage(self, details: Mapping[str, Any]) -> None:
        for name, count in details.items():
            if isinstance(count, int):
                self.usage[name] = self.usage.get(name, 0) + count


def as_json_text(arguments: Any) -> str:
    """A call's arguments as the JSON text that the model wrote, or would have written."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else json.dumps(plain(arguments), ensure_ascii=False)


def members(content: Any) -> dict[str, Any]:
    """A content of a kind that has no event of its own, as JSON values."""
    to_dict = getattr(content, "to_dict", None)
    values = to_dict() if to_dict is not None else vars(content)
    return {name: plain(value) for name, value in values.items() if name not in _HIDDEN and value is not None}


def plain(value: Any) -> Any:
    """``value`` as JSON values; what JSON cannot say becomes its text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return utf16.clean(str.__str__(value))  # what an enumeration's member is, not what it is called
    for number in (int, float):
        if isinstance(value, number):
            return number(value)
    if isinstance(value, Mapping):
        return {utf16.clean(str(name)): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    return utf16.clean(str(value))
