"""The server's end of a WebSocket, against the library's client end."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame as WireFrame
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from streamsink.backends.gateway.http import Reply
from streamsink.backends.gateway.websocket_peer import Upgrade, WebSocketPeer

URI = parse_uri("ws://gateway.test/cl%69ent/?hub=chat&x=%20")


def opened(max_message_bytes: int = 1_000) -> tuple[ClientProtocol, WebSocketPeer]:
    return ClientProtocol(URI, state=State.OPEN), WebSocketPeer(max_message_bytes)


def said(client: ClientProtocol) -> bytes:
    return b"".join(client.data_to_send())


def asked() -> tuple[ClientProtocol, Upgrade]:
    client = ClientProtocol(URI)
    request = client.connect()
    request.headers["Authorization"] = "Bearer s3cret"
    request.headers["X-Name"] = "m\xfcller"
    client.send_request(request)
    return client, Upgrade(said(client))


def answered(client: ClientProtocol, data: bytes) -> Response:
    client.receive_data(data)
    (response,) = client.events_received()
    assert isinstance(response, Response)
    return response


def test_the_request_is_seen_as_asgi_would_give_it() -> None:
    _, upgrade = asked()

    assert upgrade.scope is not None
    assert upgrade.scope["type"] == "websocket"
    assert upgrade.scope["path"] == "/client/"
    assert upgrade.scope["query_string"] == b"hub=chat&x=%20"
    assert (b"Authorization", b"Bearer s3cret") in upgrade.scope["headers"]


def test_an_accepted_request_opens_the_websocket() -> None:
    client, upgrade = asked()

    answer, is_open = upgrade.answer()

    assert is_open
    assert answered(client, answer).status_code == 101
    assert client.state is State.OPEN
    assert client.extensions == []


def test_a_refusal_has_its_status_headers_and_text() -> None:
    client, upgrade = asked()

    answer, is_open = upgrade.answer(Reply(401, b"No.", {"www-authenticate": "Bearer"}))

    response = answered(client, answer)
    assert not is_open
    assert (response.status_code, response.body) == (401, b"No.")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers["Connection"] == "close"


def test_what_is_no_handshake_is_refused_whatever_the_reply() -> None:
    request = b"GET /client HTTP/1.1\r\nHost: gateway.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

    answer, is_open = Upgrade(request).answer(Reply(404))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert not is_open


def test_a_request_that_is_too_long_is_refused() -> None:
    upgrade = Upgrade(b"GET /client?" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n")

    assert upgrade.scope is None
    assert upgrade.answer()[0].startswith(b"HTTP/1.1 414 ")


def test_debugging_does_not_log_tokens(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        asked()[1].answer()

    assert {record.name for record in caplog.records} == {"websockets.client"}  # the test's own end


@given(st.lists(st.one_of(st.text(max_size=30), st.binary(max_size=30)), max_size=6), st.data())
def test_messages_come_out_however_they_were_cut(messages: list[str | bytes], data: st.DataObject) -> None:
    client, peer = opened()
    for message in messages:
        raw, send = (message.encode(), client.send_text) if isinstance(message, str) else (message, client.send_binary)
        half = len(raw) // 2
        send(raw[:half], fin=False)
        client.send_ping(b"between")
        client.send_continuation(raw[half:], fin=True)
    stream = said(client)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))

    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    received: list[str | bytes] = []
    for piece in pieces:
        received += peer.receive(piece)
        if data.draw(st.booleans()):
            client.receive_data(peer.output()[0])

    assert received == messages
    client.receive_data(peer.output()[0])
    assert peer._protocol is None
    pongs = client.events_received()
    assert [bytes(pong.data) for pong in pongs if isinstance(pong, WireFrame)] == [b"between"] * len(messages)


def test_the_library_is_kept_while_something_is_under_way() -> None:
    """A frame's head, all of a frame but its last byte, a message's first frame: even an empty one."""
    client, peer = opened()
    client.send_text(b"", fin=False)
    first = said(client)
    client.send_continuation(b"abc", fin=True)
    last = said(client)

    for piece in (first[:2], first[2:], last[:2], last[2:-1]):
        assert list(peer.receive(piece)) == []
        assert peer.output() == (b"", False)
        assert peer._protocol is not None

    assert list(peer.receive(last[-1:])) == ["abc"]
    assert peer.output() == peer.output() == (b"", False)
    assert peer._protocol is None


def test_lengths_that_are_longer_than_need_be_are_read() -> None:
    """The library reads them (RFC 6455 §5.2 forbids them), and stays."""
    _, peer = opened()
    frame = b"\x81\xfe\x00\x02\0\0\0\0hi"

    for _ in range(2):
        assert list(peer.receive(frame)) == ["hi"]
        assert peer.output() == (b"", False)


def test_a_clients_close_is_answered_and_ends_it() -> None:
    client, peer = opened()
    client.send_close(1000)

    assert list(peer.receive(said(client))) == []

    data, is_over = peer.output()
    client.receive_data(data)
    assert is_over
    assert client.close_rcvd is not None
    assert client.close_rcvd.code == 1000


def test_a_close_of_ours_ends_with_the_clients_answer() -> None:
    client, peer = opened()
    peer.close()
    peer.close()
    data, is_over = peer.output()
    assert not is_over

    client.receive_data(data)

    assert list(peer.receive(said(client))) == []
    assert peer.output() == (b"", True)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x82\0\0\0\0\xff\xfe", 1007),  # text that is no UTF-8
        (b"\x81\xfe\x04\x00\0\0\0\0", 1009),  # 1,024 bytes announced
        (b"\x81\x01x", 1002),  # not masked
        (b"\x80\x80\0\0\0\0", 1002),  # continues nothing
    ],
)
def test_a_broken_client_is_told_why(frame: bytes, code: int) -> None:
    client, peer = opened()

    assert list(peer.receive(frame)) == []

    data, is_over = peer.output()
    client.receive_data(data)
    assert is_over
    assert client.close_rcvd is not None
    assert client.close_rcvd.code == code
    assert list(peer.receive(b"more")) == []
