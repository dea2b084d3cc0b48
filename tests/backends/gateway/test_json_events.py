"""Events as JSON hub records; that they are read back is tested with the messages of the redis backend."""

from __future__ import annotations

import pytest

from streamsink.backends.gateway.json_events import JsonEvents
from streamsink.backends.gateway.json_protocol import JSON
from streamsink.backends.gateway.messagepack_protocol import MESSAGE_PACK

from .support import make_event


def test_records_that_somebody_has_made_are_passed_on_as_they_are() -> None:
    made = JSON.frame([[make_event(1), make_event(2)]]).payload
    batch = JsonEvents("1700", 1, 2, made)

    assert JSON.frame([batch]).payload is made
    together = JSON.frame([batch, [make_event(3)]])
    assert together.payload == JSON.frame([[make_event(1), make_event(2), make_event(3)]]).payload
    assert len(batch) == 2


def test_who_needs_them_otherwise_gets_events() -> None:
    events = [make_event(1, text="a\x1eü"), make_event(2, target='we"ird')]
    batch = JsonEvents("1700", 1, 2, JSON.frame([events]).payload)

    assert list(batch) == events
    assert MESSAGE_PACK.frame([batch]).payload == MESSAGE_PACK.frame([events]).payload


@pytest.mark.parametrize(
    "said",
    [b"", b"{}\x1e", b"nonsense\x1e", b'{"target":"x","arguments":[]}\x1e', JSON.frame([[make_event()] * 2]).payload],
)
def test_what_are_no_such_records_is_refused_without_being_quoted(said: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not the records of events$"):
        list(JsonEvents("1700", 1, 1, said))
