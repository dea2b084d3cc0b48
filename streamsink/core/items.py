"""What one attempt of a run has shown: the ``items`` of the conversation state (docs/protocol.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from streamsink.core import utf16
from streamsink.core.events import (
    AGENT_APPROVAL,
    AGENT_CONTENT,
    AGENT_CUSTOM,
    AGENT_MESSAGE,
    AGENT_REASONING,
    AGENT_TOOL_CALL,
    AGENT_TOOL_RESULT,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["GrowingText", "Items", "number_of", "text_of"]

# The member that names an item of its kind, and the one that grows by pieces.
_ID: Final = {"text": "messageId", "reasoning": "messageId", "tool": "callId", "approval": "approvalId"}
_GROWS: Final = {"text": "text", "reasoning": "text", "tool": "arguments"}
_ENVELOPE: Final = frozenset(
    {"conversationId", "correlationId", "agentName", "attempt", "at", "seq", "epoch"},
)


def text_of(data: Mapping[str, Any], name: str) -> str:
    """The text under ``name``; ``""`` when there is none."""
    value = data.get(name)
    return utf16.clean(value) if isinstance(value, str) else ""


def number_of(data: Mapping[str, Any], name: str) -> int | None:
    """The integer under ``name``, if there is one."""
    value = data.get(name)
    return value if isinstance(value, int) else None


class GrowingText:
    """A text that arrives in pieces. Adding one costs its own length, however long the text has become."""

    __slots__ = ("_pieces", "_units")

    def __init__(self, text: str = "") -> None:
        self._pieces = [text]
        self._units = utf16.length(text)

    def __str__(self) -> str:
        self._pieces = ["".join(self._pieces)]
        return self._pieces[0]

    def put(self, text: str, offset: int | None) -> None:
        """Keep the first ``offset`` UTF-16 units (None, or more than there are: all) and add ``text``."""
        if offset is not None:
            self._cut(max(offset, 0))
        self._add(text)

    def _cut(self, units: int) -> None:
        while self._units > units:
            piece = self._pieces.pop()
            self._units -= utf16.length(piece)
            self._add(utf16.split_at(piece, units - self._units)[0])

    def _add(self, piece: str) -> None:
        if piece:
            self._pieces.append(piece)
            self._units += utf16.length(piece)


class Items:
    """The items of one attempt, in order of first appearance.

    Args:
        items: those of a snapshot; they are copied.
    """

    __slots__ = ("_by_key", "list")

    def __init__(self, items: Iterable[Mapping[str, Any]] = ()) -> None:
        self.list: list[dict[str, Any]] = []
        self._by_key: dict[tuple[str, str], dict[str, Any]] = {}
        for item in items:
            self._add(dict(item))

    def fold(self, target: str, data: Mapping[str, Any]) -> None:
        """Fold an event that neither begins nor ends the attempt: rules 4 to 6."""
        item = self._item(_blank(target, data))
        if target == AGENT_TOOL_RESULT:
            item["status"], item["result"] = text_of(data, "status"), data.get("result")
        elif item["kind"] in _GROWS:
            _grow(item, data)

    def settle(self, data: Mapping[str, Any]) -> bool:
        """Give the result to the call that waited for it in these items; False when none did."""
        item = self._by_key.get(("tool", text_of(data, "callId")))
        if item is None or item["status"] != "waiting":
            return False
        item["status"], item["result"] = text_of(data, "status"), data.get("result")
        return True

    def knows_call(self, call_id: str) -> bool:
        """Whether the call is among these items."""
        return ("tool", call_id) in self._by_key

    def finish(self, text: str | None) -> None:
        """The run is over: no tool is running any more, and ``text``, unless None, is its final text."""
        asked = {item["callId"] for item in self.list if item["kind"] == "approval" and item["approved"] is None}
        for item in self.list:
            if item["kind"] == "tool" and item["status"] == "running":
                item["status"] = "waiting" if item["callId"] in asked else "failed"
        if text is not None:
            self.list = [item for item in self.list if item["kind"] != "text"]
            self._add({"kind": "text", "messageId": "final", "text": text})

    def answer(self, approval_id: str, approved: Any) -> bool:
        """Note the answer to an approval; False when it is not among these items."""
        item = self._by_key.get(("approval", approval_id))
        if item is not None:
            item["approved"] = approved
        return item is not None

    def _item(self, blank: dict[str, Any]) -> dict[str, Any]:
        """The item with the kind and id of ``blank``, which is added when there is none."""
        key = _key(blank)
        found = self._by_key.get(key) if key is not None else None
        return found if found is not None else self._add(blank)

    def _add(self, item: dict[str, Any]) -> dict[str, Any]:
        grows = _GROWS.get(item["kind"])
        if grows is not None:
            item[grows] = GrowingText(item[grows])
        key = _key(item)
        if key is not None:
            self._by_key[key] = item
        self.list.append(item)
        return item


def _key(item: Mapping[str, Any]) -> tuple[str, str] | None:
    kind = item["kind"]
    return (kind, item[_ID[kind]]) if kind in _ID else None


def _grow(item: dict[str, Any], data: Mapping[str, Any]) -> None:
    grows = _GROWS[item["kind"]]
    item[grows].put(text_of(data, grows), number_of(data, "offset"))
    if item["kind"] == "tool":
        item["name"] = item["name"] or text_of(data, "name")


def _blank(target: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The item that an event is about as it is first added, before its text or its result."""
    make = _BLANKS.get(target)
    if make is not None:
        return make(data)
    rest = {name: value for name, value in data.items() if name not in _ENVELOPE}
    return {"kind": "event", "target": target, "data": rest}


def _text(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "text", "messageId": text_of(data, "messageId"), "text": ""}


def _reasoning(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "reasoning", "messageId": text_of(data, "messageId"), "text": ""}


def _tool(data: Mapping[str, Any]) -> dict[str, Any]:
    call = {"kind": "tool", "callId": text_of(data, "callId"), "name": "", "arguments": ""}
    return {**call, "status": "running", "result": None}


def _approval(data: Mapping[str, Any]) -> dict[str, Any]:
    names = {name: text_of(data, name) for name in ("approvalId", "callId", "name")}
    return {"kind": "approval", **names, "arguments": data.get("arguments"), "approved": None}


def _content(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "content", "contentType": text_of(data, "contentType"), "content": data.get("content")}


def _custom(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "custom", "name": text_of(data, "name"), "data": data.get("data")}


_BLANKS: Final[dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    AGENT_MESSAGE: _text,
    AGENT_REASONING: _reasoning,
    AGENT_TOOL_CALL: _tool,
    AGENT_TOOL_RESULT: _tool,
    AGENT_APPROVAL: _approval,
    AGENT_CONTENT: _content,
    AGENT_CUSTOM: _custom,
}
