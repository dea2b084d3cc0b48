"""Published batches as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.redis.message import DELETED, decode, encode
from streamsink.core.events import Event

EVENT = Event("x", b"{}", "1", 1)
RECORDS = st.lists(st.tuples(st.sampled_from(["agentMessage", "x"]), st.binary(min_size=0, max_size=40)), min_size=1)


@given(RECORDS, st.integers(1, 2**53 - 1), st.integers(1, 2**40))
def test_what_is_written_is_read_back(records: list[tuple[str, bytes]], epoch: int, first: int) -> None:
    events = [Event(target, body, str(epoch), first + i) for i, (target, body) in enumerate(records)]

    assert decode(encode(events)) == events


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        DELETED,
        encode([]),
        encode([EVENT])[:-1],
        encode([EVENT]) + b"\0",
        b"\x91\x93\xa1x\xc4\x02{}\xa11",  # without a number
        b"\x91\x94\xa1x\xa2{}\xa11\x01",  # a body of text
    ],
)
def test_what_is_no_batch_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  every kind of it
        decode(payload)
