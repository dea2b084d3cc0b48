"""How runs end that no producer ends: one wording for every timeline."""

from __future__ import annotations

from typing import Final

import msgspec

from streamsink.core.events import Terminal

__all__ = ["CANCELLED", "PRODUCER_LOST", "QUEUE_TIMEOUT", "ending_fields", "message_of"]

CANCELLED: Final = Terminal("cancelled")
QUEUE_TIMEOUT: Final = Terminal("failed", "queue_timeout")
PRODUCER_LOST: Final = Terminal("failed", "producer_lost")

_MESSAGES: Final = {
    "queue_timeout": "The request waited too long for its turn.",
    "producer_lost": "The answer was interrupted and could not be completed.",
}


def message_of(terminal: Terminal) -> str:
    """What a person is told."""
    return _MESSAGES.get(terminal.code or "", "")


def ending_fields(terminal: Terminal) -> bytes:
    """The members of the ``agentDone`` of such a terminal behind those of its envelope, with the closing brace."""
    fields: dict[str, object] = {"status": terminal.status}
    if terminal.code is not None:
        fields["error"] = {"code": terminal.code, "message": message_of(terminal)}
    return b"," + msgspec.json.encode(fields)[1:]
