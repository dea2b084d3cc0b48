"""What a user says, as the event that a run begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamsink.core import utf16
from streamsink.core.errors import TooLargeError
from streamsink.core.events import USER_MESSAGE, Envelope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamsink.core.events import Record
    from streamsink.core.sink import StreamSink

__all__ = ["user_message", "user_message_fields"]


def user_message(
    sink: StreamSink,
    thread: str,
    correlation_id: str,
    agent_name: str,
    text: str,
    *,
    approval: Mapping[str, object] | None = None,
) -> Record:
    """The record: whole, since it says what has been said.

    Args:
        approval: as for ``user_message_fields``.

    Raises:
        TooLargeError: it is larger than ``PublishOptions.max_event_bytes``.
    """
    fields = user_message_fields(correlation_id, text, approval=approval)
    envelope = Envelope(thread, correlation_id, agent_name)
    record = envelope.record(USER_MESSAGE, attempt=0, at_ms=sink.runtime.now_ms(), fields=fields)
    if len(record.body) > sink.options.max_event_bytes:
        raise TooLargeError(f"message should fit into {sink.options.max_event_bytes} bytes, written as JSON")
    return record


def user_message_fields(
    correlation_id: str, text: str, *, approval: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """The event's own members (docs/protocol.md).

    Args:
        correlation_id: of the run that it begins.
        approval: which request it answers, and how.
    """
    fields: dict[str, Any] = {"messageId": f"{correlation_id}-user", "text": utf16.clean(text)}
    return fields if approval is None else {**fields, "approval": approval}
