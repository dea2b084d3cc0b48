from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.events import AGENT_DONE, AGENT_MESSAGE, Envelope, Event, Record, Terminal

ENVELOPE = Envelope('thread "1" ü', "c1", "Travel\\Planner")
SHARED = {"conversationId": 'thread "1" ü', "correlationId": "c1", "agentName": "Travel\\Planner"}
fields = st.dictionaries(st.sampled_from(["text", "offset", "data"]), st.text() | st.integers(0, 2**53) | st.none())


def decoded(record: Record) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.json.decode(record.body)
    return value


@given(fields)
def test_a_record_holds_the_envelope_and_its_own_members(own: dict[str, Any]) -> None:
    record = ENVELOPE.record(AGENT_MESSAGE, attempt=2, at_ms=17, fields=own)

    assert record.target == AGENT_MESSAGE
    assert decoded(record) == {**SHARED, "attempt": 2, "at": 17, **own}


def test_a_record_may_have_no_members_of_its_own() -> None:
    assert decoded(ENVELOPE.record("agentStarted", attempt=1, at_ms=17)) == {**SHARED, "attempt": 1, "at": 17}


@given(fields)
def test_an_event_ends_with_its_place(own: dict[str, Any]) -> None:
    event = ENVELOPE.record(AGENT_MESSAGE, attempt=2, at_ms=17, fields=own).at("1700", 42)

    data = msgspec.json.decode(event.json)
    assert data == {**SHARED, "attempt": 2, "at": 17, **own, "seq": 42, "epoch": "1700"}
    assert list(data)[-2:] == ["seq", "epoch"]


def test_an_event_knows_its_cursor() -> None:
    event = Record("x", b'{"a":1}').at("1700", 42)

    assert event == Event("x", b'{"a":1,"seq":42,"epoch":"1700"}', "1700", 42)
    assert event.cursor == "1700:42"
    assert Record("x", b'{"a":1}').at("c1.3", 42).cursor == "c1.3:42"


@pytest.mark.parametrize(
    ("terminal", "said"),
    [
        (Terminal("cancelled"), {"status": "cancelled"}),
        (Terminal("failed", "queue_timeout"), {"status": "failed", "error": {"code": "queue_timeout", "message": "m"}}),
    ],
)
def test_a_terminal_that_nobody_wrote_has_its_record(terminal: Terminal, said: dict[str, Any]) -> None:
    record = ENVELOPE.done(terminal, attempt=3, at_ms=5, message="m")

    assert record.target == AGENT_DONE
    assert decoded(record) == {**SHARED, "attempt": 3, "at": 5, **said}
