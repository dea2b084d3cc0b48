"""The handshake."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.gateway.handshake import (
    ACCEPTED,
    CANCELED,
    MALFORMED,
    HandshakeError,
    HandshakeReader,
    refusal,
)
from streamsink.backends.gateway.json_protocol import JSON

from .test_json_protocol import cut

GOOD = b'{"protocol":"json","version":1}\x1e'


def make_reader(max_bytes: int = 1_000) -> HandshakeReader:
    return HandshakeReader({"json": JSON}, max_bytes=max_bytes)


@given(st.lists(st.integers(0, 100), max_size=6), st.binary(max_size=10))
def test_any_split_agrees_and_hands_over_the_rest(places: list[int], rest: bytes) -> None:
    """Check 28."""
    reader, agreed = make_reader(), None
    *parts, last = cut(GOOD, places)
    for part in parts:
        found = reader.feed(part)
        if found is not None:
            agreed = found
            break

    agreed = agreed or reader.feed(last + rest)

    assert agreed is not None
    assert (agreed.protocol, agreed.version) == (JSON, 1)
    assert agreed.rest in (rest, b"")


@pytest.mark.parametrize("version", [0, 1, 2])
def test_versions_0_1_and_2_are_accepted(version: int) -> None:
    """Check 25."""
    agreed = make_reader().feed(b'{"protocol":"json","version":%d,"new":[]}\x1e' % version)

    assert agreed is not None
    assert agreed.version == version


@pytest.mark.parametrize("version", [3, 99, -1])
def test_other_versions_are_refused(version: int) -> None:
    """Check 25."""
    with pytest.raises(HandshakeError) as caught:
        make_reader().feed(b'{"protocol":"json","version":%d}\x1e' % version)

    assert str(caught.value) == f"The server does not support version {version} of the 'json' protocol."


def test_an_unknown_protocol_is_refused() -> None:
    """Check 24."""
    with pytest.raises(HandshakeError) as caught:
        make_reader().feed(b'{"protocol":"xml","version":1}\x1e')

    assert str(caught.value) == "The protocol 'xml' is not supported."


@pytest.mark.parametrize(
    "record",
    [b"", b"{", b"[]", b'{"version":1}', b'{"protocol":"json"}', b'{"protocol":1,"version":1}', b"\xff",
     b'{"protocol":"json","version":"1"}', b'{"protocol":"json","version":true}', b"[" * 900],
)  # fmt: skip
def test_malformed_handshakes_are_refused(record: bytes) -> None:
    """Check 27."""
    with pytest.raises(HandshakeError) as caught:
        make_reader().feed(record + b"\x1e")

    assert str(caught.value) == MALFORMED
    assert caught.value.__cause__ is None


def test_an_endless_handshake_waits_up_to_the_bound() -> None:
    """Check 26."""
    reader = make_reader(max_bytes=10)

    assert reader.feed(b" " * 10) is None
    with pytest.raises(HandshakeError) as caught:
        reader.feed(b" ")

    assert str(caught.value) == CANCELED


@given(st.binary(max_size=80))
def test_garbage_is_awaited_or_refused(data: bytes) -> None:
    with contextlib.suppress(HandshakeError):
        make_reader(max_bytes=40).feed(data)


def test_replies_are_transport_messages_of_their_own() -> None:
    """Check 30."""
    assert ACCEPTED.payload == b"{}\x1e"
    assert refusal('a "b"').payload == b'{"error":"a \\"b\\""}\x1e'
    assert not ACCEPTED.is_mergeable
    assert ACCEPTED.is_text
