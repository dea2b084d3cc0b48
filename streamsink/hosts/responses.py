"""The whole response of a run, as its terminal stores it: ``{"text": …, "response": …}`` in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from streamsink.core.events import Terminal

__all__ = ["encode_response", "response_text", "stored_response"]


def encode_response(text: str, response: dict[str, Any]) -> bytes:
    """What a terminal stores. A value that JSON cannot say is stored as its text."""
    return msgspec.json.encode({"text": text, "response": response}, enc_hook=str)


def stored_response(terminal: Terminal) -> dict[str, Any] | None:
    """The response that a terminal stores; None when the run ended without one."""
    if terminal.response is None:
        return None
    response: dict[str, Any] = msgspec.json.decode(terminal.response)["response"]
    return response


def response_text(terminal: Terminal) -> str:
    """The text of the response that a terminal stores."""
    return "" if terminal.response is None else str(msgspec.json.decode(terminal.response)["text"])
