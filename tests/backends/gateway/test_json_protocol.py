"""The JSON codec."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.gateway.json_protocol import JSON, JsonDecoder, decode
from streamsink.backends.gateway.messages import (
    CancelInvocation,
    Close,
    Completion,
    HubMessage,
    Invocation,
    Ping,
    ProtocolError,
    StreamInvocation,
    StreamItem,
)

from .support import make_event

if TYPE_CHECKING:
    from collections.abc import Iterable

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
arguments = st.lists(values, max_size=3)
messages: st.SearchStrategy[HubMessage] = st.one_of(
    st.builds(
        Invocation,
        target=names,
        arguments=arguments,
        invocation_id=st.none() | names,
        stream_ids=st.lists(names),
    ),
    st.builds(StreamItem, invocation_id=names, item=values),
    st.builds(Completion, invocation_id=names, error=st.none() | st.text(st.characters(codec="utf-8"))),
    st.builds(Completion, invocation_id=names, result=values),
    st.builds(StreamInvocation, target=names, arguments=arguments, invocation_id=names),
    st.builds(CancelInvocation, invocation_id=names),
    st.just(Ping()),
    st.builds(Close, error=st.none() | names, allow_reconnect=st.booleans()),
)


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """``data`` in pieces."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def feed(pieces: Iterable[bytes], max_bytes: int = 32_768) -> list[HubMessage | str]:
    """What a decoder says about the pieces: messages, and ``error`` when it gave up."""
    decoder, found = JsonDecoder(max_bytes), list[HubMessage | str]()
    try:
        for piece in pieces:
            found.extend(decoder.feed(piece))
    except ProtocolError:
        found.append("error")
    return found


@given(st.lists(messages, max_size=5), st.lists(st.integers(0, 10_000), max_size=8))
def test_what_is_encoded_is_decoded_whatever_the_split(sent: list[HubMessage], places: list[int]) -> None:
    """Check 32: several messages in one frame, or one split over frames."""
    wire = b"".join(JSON.encode(message).payload for message in sent)

    assert feed(cut(wire, places), max_bytes=1_000_000) == sent


@given(st.binary(max_size=60) | st.lists(st.sampled_from([b"\x1e", b'{"type":6}', b"{", b"\xff"])).map(b"".join))
def test_garbage_raises_nothing_but_a_protocol_error_and_a_split_changes_nothing(data: bytes) -> None:
    """Check 33."""
    whole = feed([data])

    assert feed([bytes([byte]) for byte in data]) == whole
    assert feed([data], max_bytes=5) == feed([bytes([byte]) for byte in data], max_bytes=5)


@given(st.dictionaries(st.sampled_from(["type", "target", "arguments", "invocationId", "error", "item"]), values))
def test_any_json_object_is_a_message_a_skip_or_a_protocol_error(members: dict[str, Any]) -> None:
    feed([json.dumps(members).encode() + b"\x1e"])


def test_a_message_as_the_javascript_client_writes_it_is_read() -> None:
    """Check 31: ``type`` last; unknown members and headers are ignored."""
    record = b'{"headers":{"Authorization":"Bearer x"},"new":1,"target":"T","arguments":[1],"type":1}'

    message = decode(record)

    assert message == Invocation("T", [1])
    assert "Bearer" not in repr(message)


@pytest.mark.parametrize("kind", [0, 8, 9, 99, -1, 10**30])
def test_unknown_types_are_skipped(kind: int) -> None:
    """Check 34."""
    assert feed([b'{"type":%d,"x":1}\x1e{"type":6}\x1e' % kind]) == [Ping()]


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"type":"1"}',
        b'{"type":true}',
        b'{"type":1.5}',
        b'{"type":null}',
        b'{"type":1,"arguments":[]}',
        b'{"type":1,"target":"","arguments":[]}',
        b'{"type":1,"target":"T"}',
        b'{"type":1,"target":"T","arguments":{}}',
        b'{"type":1,"target":"T","arguments":[],"invocationId":""}',
        b'{"type":1,"target":"T","arguments":[],"invocationId":1}',
        b'{"type":2,"invocationId":"1"}',
        b'{"type":3}',
        b'{"type":3,"invocationId":"1","result":1,"error":"e"}',
        b'{"type":3,"invocationId":"1","error":1}',
        b'{"type":4,"target":"T","arguments":[]}',
        b'{"type":5,"invocationId":null}',
        b'{"type":6}{"type":6}',
        b'{"type":6,"x":"\xff"}',
        b'{"type":6,"x":"\xed\xa0\x80"}',
        b'{"type":1,"target":"T","arguments":' + b"[" * 30_000,
        b'{"type":1,"target":"T","arguments":[1e999]}',
        b'{"type":1,"target":"T","arguments":[%s]}' % (b"1" * 5_000),
        b"\xef\xbb\xbf" + b'{"type":6}',
    ],
)
def test_malformed_records_are_protocol_errors(record: bytes) -> None:
    """Checks 33 and 41."""
    with pytest.raises(ProtocolError) as caught:
        decode(record)

    assert caught.value.__cause__ is None
    assert str(caught.value) == "not a hub message"


def test_a_result_of_null_is_a_result() -> None:
    assert decode(b'{"type":3,"invocationId":"1","result":null}') == Completion("1", result=None)
    assert decode(b'{"type":3,"invocationId":"1"}') == Completion("1")


def test_a_message_over_the_bound_is_refused_before_it_is_complete() -> None:
    """Check 35."""
    decoder = JsonDecoder(10)

    assert list(decoder.feed(b'{"type":6}\x1e{"type":6')) == [Ping()]
    with pytest.raises(ProtocolError, match="too long"):
        list(decoder.feed(b"    "))


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (Invocation("T", []), b'{"type":1,"target":"T","arguments":[]}'),
        (Completion("1", error="x"), b'{"type":3,"invocationId":"1","error":"x"}'),
        (Ping(), b'{"type":6}'),
        (Close(), b'{"type":7}'),
        (Close("bye", allow_reconnect=True), b'{"type":7,"error":"bye","allowReconnect":true}'),
    ],
)
def test_absent_members_are_left_out(message: HubMessage, wire: bytes) -> None:
    frame = JSON.encode(message)

    assert frame.payload == wire + b"\x1e"
    assert frame.is_text


def test_events_become_invocations_in_one_frame() -> None:
    """Check 38: no invocationId, always arguments, whole messages."""
    events = [make_event(1, text="a\x1e"), make_event(2, target='we"ird', text="b")]

    frame = JSON.frame([events])

    *records, rest = frame.payload.split(b"\x1e")
    assert rest == b""
    assert [json.loads(record) for record in records] == [
        {"type": 1, "target": event.target, "arguments": [json.loads(event.json)]} for event in events
    ]
    assert frame.text == frame.payload.decode()
    assert frame.text is frame.text
    assert len(frame) == len(frame.payload)
    assert "bytes" in repr(frame)


def test_an_event_is_sent_as_it_is() -> None:
    event = make_event(7)

    assert JSON.frame([[event]]).payload == (
        b'{"type":1,"target":"agentMessage","arguments":[' + event.json + b"]}\x1e"
    )
