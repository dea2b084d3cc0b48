"""The ten lines of docs/protocol.md with which a client without our reducer shows streamed text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["render"]

_TEXTS = {
    "agentMessage": ("messageId", "text"),
    "agentReasoning": ("messageId", "text"),
    "agentToolCall": ("callId", "arguments"),
}


def render(events: Iterable[tuple[str, dict[str, Any]]]) -> dict[tuple[str, str], str]:
    """The texts by target and id, cut and joined in UTF-16 code units as JavaScript does."""
    texts: dict[tuple[str, str], bytes] = {}
    for target, event in events:
        if target in _TEXTS:
            id_name, text_name = _TEXTS[target]
            key = (target, event[id_name])
            text = texts.get(key, b"")
            if 2 * event["offset"] <= len(text):
                texts[key] = text[: 2 * event["offset"]] + event[text_name].encode("utf-16-le")
    return {key: text.decode("utf-16-le") for key, text in texts.items()}
