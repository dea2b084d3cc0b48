"""Published batches as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.gateway.json_protocol import JSON
from streamsink.backends.redis.message import DELETED, decode, encode
from streamsink.core.events import Envelope, Event, Record

EVENT = Record("x", b'{"a":1}').at("1", 1)
ENVELOPE = Envelope("t", "r", "a")
SAID = st.lists(st.tuples(st.sampled_from(["agentMessage", "x"]), st.text(max_size=40)), min_size=1)


@given(SAID, st.integers(1, 2**53 - 1), st.integers(1, 2**40))
def test_what_is_written_is_read_back(said: list[tuple[str, str]], epoch: int, first: int) -> None:
    records = [ENVELOPE.record(target, attempt=1, at_ms=1, fields={"text": text}) for target, text in said]
    events: list[Event] = [record.at(str(epoch), first + i) for i, record in enumerate(records)]

    read = decode(encode(events))

    assert list(read) == events
    assert (read.epoch, read.first, read.last) == (str(epoch), first, first + len(events) - 1)
    assert read.records == JSON.frame([events]).payload


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        DELETED,
        encode([EVENT])[:-1],
        encode([EVENT]) + b"\0",
        b"\x93\xa11\x01\x01",  # without records
        b"\x94\xa11\x01\x01\xa2{}",  # records of text
    ],
)
def test_what_is_no_batch_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  every kind of it
        decode(payload)
