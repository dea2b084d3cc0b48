"""Frames as bytes; the ``websockets`` library reads them back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from streamsink.backends.gateway.frame import Frame, binary_frame, text_frame
from streamsink.backends.gateway.frame_queue import MAX_JOINED_BYTES, FrameQueue
from streamsink.backends.gateway.handshake import ACCEPTED
from streamsink.backends.gateway.websocket_frames import BINARY, TEXT, data_frame, shared_message


def read(data: bytes) -> list[tuple[bool, bytes]]:
    """The messages that a client receives: whether text, and what."""
    client = ClientProtocol(parse_uri("ws://gateway.test"), state=State.OPEN, max_size=None)
    client.receive_data(data)
    frames = [event for event in client.events_received() if isinstance(event, WireFrame)]
    assert all(frame.fin for frame in frames)
    assert client.parser_exc is None
    return [(frame.opcode is Opcode.TEXT, bytes(frame.data)) for frame in frames]


def joined(frames: list[Frame]) -> bytes:
    """What leaves when the network takes all that waits."""
    queue = FrameQueue()
    for frame in frames:
        queue.put(frame)
    written = []
    while queue:
        written.append(shared_message(taken := queue.take()))
        queue.taken(taken)
    assert queue.buffered_bytes == 0
    return b"".join(written)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
@pytest.mark.parametrize("is_text", [True, False])
def test_every_length_is_read_back(size: int, is_text: bool) -> None:
    assert read(data_frame(b"x" * size, TEXT if is_text else BINARY)) == [(is_text, b"x" * size)]


def test_a_frame_is_made_once() -> None:
    frame = text_frame(b"abc")

    assert frame.wire is frame.wire
    assert read(frame.wire) == [(True, b"abc")]


def test_what_must_stand_alone_does() -> None:
    frames = [ACCEPTED, *(text_frame(text) for text in (b"a\x1e", b"b\x1e")), binary_frame(b"\1")]

    assert read(joined(frames)) == [(True, b"{}\x1e"), (True, b"a\x1eb\x1e"), (False, b"\1")]


def test_joined_messages_are_bounded() -> None:
    frames = [text_frame(b"x" * 30_000) for _ in range(5)]

    sizes = [len(message) for _, message in read(joined(frames))]

    assert sizes == [60_000, 60_000, 30_000]
    assert max(sizes) <= MAX_JOINED_BYTES


@given(st.lists(st.tuples(st.binary(max_size=200), st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_joining_keeps_every_byte_in_order(parts: list[tuple[bytes, bool, bool]]) -> None:
    frames = [
        text_frame(data, is_mergeable) if is_text else binary_frame(data) for data, is_text, is_mergeable in parts
    ]

    messages = read(joined(frames))

    for kind in (True, False):
        sent = b"".join(data for data, is_text, _ in parts if is_text is kind)
        assert b"".join(data for is_text, data in messages if is_text is kind) == sent
