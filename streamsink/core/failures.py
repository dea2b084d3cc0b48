"""What people are told of a failure."""

from __future__ import annotations

from streamsink.core.errors import StreamOverflowError

__all__ = ["explain"]


def explain(exc: BaseException) -> tuple[str, str]:
    """The code and the sentence that people see for a failure; never an exception's own text."""
    if not isinstance(exc, Exception):  # cancelled, or the whole program is ending
        return "shutdown", "The host stopped before the answer was complete."
    if isinstance(exc, StreamOverflowError):
        return "stream_overflow", "The answer came faster than it could be sent."
    return "agent_error", "The agent could not complete its answer."
