"""The MessagePack codec."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.gateway.messagepack_arrays import decode
from streamsink.backends.gateway.messagepack_protocol import (
    MESSAGE_PACK,
    MessagePackDecoder,
    with_length,
)
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
from streamsink.core.events import Record

from .support import make_event
from .test_json_protocol import cut, messages

if TYPE_CHECKING:
    from collections.abc import Iterable

PING = bytes.fromhex("029106")


def pack(*elements: Any) -> bytes:
    """An array on its way."""
    return with_length(msgspec.msgpack.encode(list(elements)))


def feed(pieces: Iterable[bytes], max_bytes: int = 32_768) -> list[HubMessage | str]:
    """What a decoder says about the pieces: messages, and ``error`` when it gave up."""
    decoder, found = MessagePackDecoder(max_bytes), list[HubMessage | str]()
    try:
        for piece in pieces:
            found.extend(decoder.feed(piece))
    except ProtocolError:
        found.append("error")
    return found


@given(st.lists(messages, max_size=5), st.lists(st.integers(0, 10_000), max_size=8))
def test_what_is_encoded_is_decoded_whatever_the_split(sent: list[HubMessage], places: list[int]) -> None:
    """Check 32: several messages in one frame, or one split over frames."""
    wire = b"".join(MESSAGE_PACK.encode(message).payload for message in sent)

    assert feed(cut(wire, places), max_bytes=1_000_000) == sent


@given(st.binary(max_size=60) | st.lists(st.sampled_from([PING, b"\x03\x91", b"\x80", b"\x00"])).map(b"".join))
def test_garbage_raises_nothing_but_a_protocol_error_and_a_split_changes_nothing(data: bytes) -> None:
    """Check 39."""
    whole = feed([data])

    assert feed([bytes([byte]) for byte in data]) == whole
    assert feed([data], max_bytes=5) == feed([bytes([byte]) for byte in data], max_bytes=5)


@given(st.lists(st.integers(-1, 10) | st.none() | st.text(max_size=2) | st.lists(st.integers()), max_size=7))
def test_any_array_is_a_message_a_skip_or_a_protocol_error(elements: list[Any]) -> None:
    try:
        wire = pack(*elements)
    except OverflowError:
        return
    feed([wire])


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        ("0d 95 01 80 c0 a4 53 65 6e 64 92 a1 78 c0", Invocation("Send", ["x", None])),
        ("0c 95 01 80 a1 30 a3 41 64 64 92 28 02", Invocation("Add", [40, 2], "0")),
        ("07 95 03 80 a1 30 03 2a", Completion("0", result=42)),
        ("02 91 06", Ping()),
        ("03 92 07 c0", Close()),
    ],
)  # fmt: skip
def test_messages_as_the_javascript_client_writes_them_are_read(wire: str, message: HubMessage) -> None:
    """Check 39: invocations of 5 elements; recorded traffic."""
    assert feed([bytes.fromhex(wire)]) == [message]


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ((1, {}, None, "T", [1], ["s"]), Invocation("T", [1], stream_ids=["s"])),
        ((1, {}, "", "T", []), Invocation("T", [])),
        ((1, {"Authorization": "Bearer x"}, None, "T", [], [], "new"), Invocation("T", [])),
        ((1, None, None, "T", []), Invocation("T", [])),
        ((4, {}, "1", "T", []), StreamInvocation("T", [], "1")),
        ((3, {}, "1", 2), Completion("1")),
        ((3, {}, "1", 3, None), Completion("1", result=None)),
        ((7,), Close()),
    ],
)
def test_what_other_clients_write_is_read_too(elements: tuple[Any, ...], message: HubMessage) -> None:
    """Check 39: 6 elements and headers, which nobody sees."""
    (found,) = feed([pack(*elements)])

    assert found == message
    assert "Bearer" not in repr(found)


def test_headers_are_not_even_looked_at() -> None:
    """Check 31."""
    assert feed([with_length(bytes.fromhex("95 01 81 a1 ff a1 ff c0 a1 54 90"))]) == [Invocation("T", [])]


@pytest.mark.parametrize("kind", [0, 8, 9, 99, -1])
def test_unknown_types_are_skipped(kind: int) -> None:
    """Check 34."""
    assert feed([pack(kind, 12) + PING]) == [Ping()]


@pytest.mark.parametrize(
    "body",
    [
        b"\xc1",
        b"\x80",
        b"\xc0",
        b"\x90",
        b"\x91",
        b"\x91\xa1\x31",
        b"\x91\xc3",
        b"\x91\xcb" + b"\x3f\xf0" + b"\x00" * 5,
        b"\x91\x06\x91\x06",
        b"\x91\x01",
        b"\x94\x01\x80\xc0\xa1T",
        b"\x95\x01\x80\xc0\xa0\x90",
        b"\x95\x01\x80\xc0\xa1T\x80",
        b"\x95\x01\x80\x01\xa1T\x90",
        b"\x95\x01\x80\xc0\xa1\xff\x90",
        b"\x96\x01\x80\xc0\xa1T\x90\x01",
        b"\x95\x01\x80\xc0\xa1T\x91\xd7\xff" + b"\xff" * 8,
        b"\x95\x01\x80\xc0\xa1T" + b"\x91" * 5_000 + b"\xc0",
        b"\x95\x01\x80\xc0\xa1T\x91\x81\x80\x01",
        b"\x93\x02\x80\xa11",
        b"\x94\x02\x80\xa0\x01",
        b"\x94\x03\x80\xa11\x01",
        b"\x95\x03\x80\xa11\x01\x01",
        b"\x94\x03\x80\xa11\x03",
        b"\x94\x03\x80\xa11\x04",
        b"\x95\x04\x80\xc0\xa1T\x90",
        b"\x93\x05\x80\xc0",
        b"\x92\x07\x01",
        b"\x93\x07\xc0\x01",
    ],
)
def test_malformed_bodies_are_protocol_errors(body: bytes) -> None:
    """Checks 33, 39 and 41."""
    with pytest.raises(ProtocolError) as caught:
        decode(body)

    assert caught.value.__cause__ is None
    assert str(caught.value) == "not a hub message"


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (b"\x00", "empty"),
        (b"\x80\x00", "empty"),
        (b"\x0b", "too long"),
        (b"\xff\xff\xff\xff\x7f", "too long"),
        (b"\xff\xff\xff\xff\xff", "not the length"),
    ],
)
def test_bad_lengths_are_refused_before_anything_is_buffered(wire: bytes, said: str) -> None:
    """Checks 35 and 39."""
    decoder = MessagePackDecoder(10)

    assert list(decoder.feed(PING + b"\x02")) == [Ping()]
    with pytest.raises(ProtocolError, match=said):
        list(decoder.feed(b"\x91\x06" + wire))


def test_a_length_may_come_in_pieces() -> None:
    """Check 39: a truncated varint is awaited; the end of the connection ends it."""
    message = Invocation("T", ["x" * 200])
    wire = MESSAGE_PACK.encode(message).payload
    decoder = MessagePackDecoder(1_000)

    assert wire[0] & 0x80
    assert list(decoder.feed(wire[:1])) == []
    assert list(decoder.feed(wire[1:-1])) == []
    assert list(decoder.feed(wire[-1:] + PING)) == [message, Ping()]


@pytest.mark.parametrize(
    ("message", "elements"),
    [
        (Invocation("T", [1]), [1, {}, None, "T", [1], []]),
        (StreamItem("1", 2), [2, {}, "1", 2]),
        (Completion("1", error="x"), [3, {}, "1", 1, "x"]),
        (Completion("1"), [3, {}, "1", 2]),
        (Completion("1", result=None), [3, {}, "1", 3, None]),
        (StreamInvocation("T", [], "1"), [4, {}, "1", "T", [], []]),
        (CancelInvocation("1"), [5, {}, "1"]),
        (Ping(), [6]),
        (Close(), [7, None, False]),
        (Close("bye", allow_reconnect=True), [7, "bye", True]),
    ],
)
def test_messages_have_the_elements_that_every_client_reads(message: HubMessage, elements: list[Any]) -> None:
    """Checks 36, 38 and 44: invocations have 6 elements, a Close at least 2."""
    frame = MESSAGE_PACK.encode(message)

    assert frame.payload == pack(*elements)
    assert not frame.is_text


@pytest.mark.parametrize("size", [1, 0x7F, 0x80, 0x3FFF, 0x4000, 0x1FFFFF, 0x200000])
def test_lengths_are_written_in_seven_bits(size: int) -> None:
    head = with_length(b"x" * size)[:-size]

    assert sum((byte & 0x7F) << 7 * index for index, byte in enumerate(head)) == size
    assert [byte >> 7 for byte in head] == [1] * (len(head) - 1) + [0]


def test_events_become_invocations_in_one_frame() -> None:
    """Check 38: no invocation id, always arguments, whole messages."""
    events = [make_event(1, text="ü"), make_event(2, target='we"ird', data={"list": [1.5, None, True]})]

    frame = MESSAGE_PACK.frame([events])

    assert not frame.is_text
    assert feed([frame.payload]) == [Invocation(event.target, [json.loads(event.json)]) for event in events]
    assert frame.payload[1:5] == b"\x96\x01\x80\xc0"


def test_integers_that_messagepack_does_not_have_become_floats() -> None:
    body = b'{"a":[18446744073709551616,{"b":-9223372036854775809}],"c":%s,"d":18446744073709551615}' % (b"1" * 400)

    (message,) = feed([MESSAGE_PACK.frame([[Record("T", body).at("1", 1)]]).payload])

    assert isinstance(message, Invocation)
    (data,) = message.arguments
    assert data["a"] == [2.0**64, {"b": -(2.0**63)}]
    assert math.isinf(data["c"])
    assert (data["d"], data["seq"]) == (2**64 - 1, 1)
