"""What a user says begins a run, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from streamsink.backends.memory.timeline import MemoryTimeline
from streamsink.core.composed import ComposedSink
from streamsink.core.errors import TooLargeError
from streamsink.core.options import PublishOptions
from streamsink.core.user_messages import user_message, user_message_fields
from streamsink.testing.clock import virtual_runtime, virtual_time
from tests.support.worlds import RecordingDelivery

if TYPE_CHECKING:
    from streamsink.core.events import Record


def said(text: str, *, max_bytes: int = 10_000) -> Record:
    options = PublishOptions(max_event_bytes=max_bytes)
    sink = ComposedSink(MemoryTimeline(), RecordingDelivery(), options=options, runtime=virtual_runtime())
    return user_message(sink, "t", "r1", "Robot", text)


@virtual_time
async def test_it_belongs_to_its_run_before_any_attempt() -> None:
    record = said("Hi")

    told = msgspec.json.decode(record.body)
    assert record.target == "userMessage"
    assert (told["conversationId"], told["correlationId"], told["agentName"]) == ("t", "r1", "Robot")
    assert (told["attempt"], told["messageId"], told["text"]) == (0, "r1-user", "Hi")


@virtual_time
async def test_it_is_not_cut() -> None:
    size = len(said("x" * 5_000).body)

    assert len(said("x" * 5_000, max_bytes=size).body) == size
    with pytest.raises(TooLargeError, match=f"into {size - 1} bytes"):
        said("x" * 5_000, max_bytes=size - 1)


def test_an_answer_says_what_it_answers() -> None:
    approval = {"approvalId": "a1", "approved": False}

    assert user_message_fields("r1", "", approval=approval) == {
        "messageId": "r1-user", "text": "", "approval": approval,
    }  # fmt: skip


def test_what_no_json_can_say_is_replaced() -> None:
    assert user_message_fields("r1", "a\ud800b")["text"] == "a\ufffdb"
