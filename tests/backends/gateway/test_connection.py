"""The connection state machine."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.gateway.connection import Closed, Connection, Limits, Opened, Output
from streamsink.backends.gateway.frame import Frame
from streamsink.backends.gateway.json_protocol import JSON
from streamsink.backends.gateway.messages import Invocation, StreamInvocation

from .support import HANDSHAKE
from .test_json_protocol import cut

PING = '{"type":6}\x1e'
BROKEN = '{"type":7,"error":"Connection closed with an error.","allowReconnect":true}\x1e'


def make_open(**options: Any) -> Connection:
    connection = Connection(now=0.0, **options)
    connection.receive(HANDSHAKE, 0.0)
    return connection


def texts(outputs: list[Output]) -> list[str]:
    return [output.text for output in outputs if isinstance(output, Frame)]


def news(outputs: list[Output]) -> list[Output]:
    return [output for output in outputs if not isinstance(output, Frame)]


@pytest.mark.parametrize("data", [HANDSHAKE, HANDSHAKE.encode()])
def test_the_handshake_opens_in_text_and_binary(data: str | bytes) -> None:
    """Checks 29 and 30: the reply is first, and exactly this."""
    connection = Connection(now=0.0)

    outputs = connection.receive(data, 1.0)

    assert texts(outputs[:1]) == ["{}\x1e"]
    assert outputs[1:] == [Opened(JSON, 1)]
    assert not connection.is_closed


def test_messages_in_the_handshakes_packet_are_handled() -> None:
    """Check 28."""
    connection = Connection(now=0.0)

    outputs = connection.receive(HANDSHAKE + '{"type":1,"target":"X","arguments":[],"invocationId":"0"}\x1e', 0)

    assert "Method does not exist" in texts(outputs)[1]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ('{"protocol":"xml","version":1}\x1e', "The protocol 'xml' is not supported."),
        ('{"protocol":"json","version":9}\x1e', "The server does not support version 9 of the 'json' protocol."),
        ("[]\x1e", "An unexpected error occurred during connection handshake."),
        ("\ud800\x1e", "An unexpected error occurred during connection handshake."),
        ("x" * 33_000, "Handshake was canceled."),
    ],
)
def test_a_bad_handshake_is_answered_and_ends_the_connection(request_: str, said: str) -> None:
    """Checks 24 to 27."""
    connection = Connection(now=0.0)

    outputs = connection.receive(request_, 0.0)

    assert texts(outputs) == [f'{{"error":"{said}"}}\x1e']
    assert news(outputs) == [Closed("the handshake was refused")]
    assert connection.is_closed
    assert connection.receive(HANDSHAKE, 0.0) == []


def test_no_handshake_for_15_seconds_ends_the_connection() -> None:
    """Check 23."""
    connection = Connection(now=100.0)
    connection.receive('{"proto', 110.0)

    assert connection.next_deadline == 115.0
    assert connection.tick(114.9) == []
    outputs = connection.tick(115.0)

    assert texts(outputs) == ['{"error":"Handshake was canceled."}\x1e']
    assert news(outputs) == [Closed("Handshake was canceled.")]
    assert connection.next_deadline == math.inf
    assert connection.tick(200.0) == []


@pytest.mark.parametrize("kind", [1, 4])
def test_an_unknown_method_gets_an_error_and_the_connection_stays(kind: int) -> None:
    """Checks 36 and 37."""
    connection = make_open()

    outputs = connection.receive(f'{{"target":"Add","arguments":[1],"invocationId":"0","type":{kind}}}\x1e', 1.0)

    error = "Failed to invoke 'Add' due to an error on the server. HubException: Method does not exist."
    assert texts(outputs) == [f'{{"type":3,"invocationId":"0","error":"{error}"}}\x1e']
    assert not connection.is_closed


@pytest.mark.parametrize(
    "message",
    [
        '{"type":1,"target":"Add","arguments":[]}',
        '{"type":2,"invocationId":"1","item":1}',
        '{"type":3,"invocationId":"1","result":1}',
        '{"type":5,"invocationId":"1"}',
        '{"type":6}',
        '{"type":99}',
    ],
)
def test_what_needs_no_answer_gets_none(message: str) -> None:
    """Checks 34, 36, 37 and 40."""
    connection = make_open()

    assert connection.receive(message + "\x1e", 1.0) == []
    assert not connection.is_closed


def test_known_methods_are_handed_out() -> None:
    connection = make_open(methods={"Add"})

    outputs = connection.receive(
        '{"type":1,"target":"Add","arguments":[]}\x1e{"type":4,"target":"Add","arguments":[],"invocationId":"1"}\x1e',
        1.0,
    )

    assert outputs == [Invocation("Add", []), StreamInvocation("Add", [], "1")]


@pytest.mark.parametrize("data", ["{\x1e", '{"type":"1"}\x1e', "\x1e", b'{"type":6}\x1e', "\ud800\x1e", "x" * 33_000])
def test_a_broken_client_is_closed_so_that_it_may_reconnect(data: str | bytes) -> None:
    """Checks 33, 35 and 41."""
    connection = make_open()

    outputs = connection.receive(data, 1.0)

    assert texts(outputs) == [BROKEN]
    assert isinstance(outputs[-1], Closed)
    assert connection.is_closed


def test_good_messages_before_a_bad_one_are_handled() -> None:
    connection = make_open(methods={"Add"})

    outputs = connection.receive('{"type":1,"target":"Add","arguments":[]}\x1enonsense\x1e', 1.0)

    assert outputs[0] == Invocation("Add", [])
    assert texts(outputs) == [BROKEN]


def test_a_clients_close_ends_the_connection_quietly() -> None:
    """Check 45: once, and what follows is ignored."""
    connection = make_open(methods={"Add"})

    outputs = connection.receive('{"type":7,"error":"x"}\x1e{"type":1,"target":"Add","arguments":[]}\x1e', 1.0)

    assert outputs == [Closed()]
    assert connection.close() == []


@pytest.mark.parametrize(
    ("error", "allow", "wire"),
    [
        (None, False, '{"type":7}\x1e'),
        ("bye", False, '{"type":7,"error":"bye"}\x1e'),
        (None, True, '{"type":7,"allowReconnect":true}\x1e'),
    ],
)
def test_close_says_why_and_whether_to_come_back(error: str | None, allow: bool, wire: str) -> None:
    """Check 44."""
    outputs = make_open().close(error, allow_reconnect=allow)

    assert texts(outputs) == [wire]
    assert news(outputs) == [Closed(error)]


def test_close_during_the_handshake_refuses_it() -> None:
    assert texts(Connection(now=0.0).close("bye")) == ['{"error":"Handshake was canceled."}\x1e']


def test_an_idle_connection_is_pinged() -> None:
    """Check 42: with a look at the clock every second, never more than 15 s of silence."""
    connection = make_open()

    times = [now for now in range(1, 61) if texts(connection.tick(float(now))) == [PING]]

    assert times == [14, 28, 42, 56]


def test_what_was_sent_puts_off_the_ping() -> None:
    connection = make_open()

    connection.sent(10.0)
    connection.sent(5.0)

    assert connection.next_deadline == 24.0


def test_an_answer_puts_off_the_ping() -> None:
    connection = make_open()

    connection.receive('{"type":1,"target":"X","arguments":[],"invocationId":"0"}\x1e', 9.0)

    assert connection.next_deadline == 23.0


def test_a_client_that_never_pinged_is_not_timed_out() -> None:
    """Check 43."""
    connection = make_open()

    assert all(texts(connection.tick(float(now))) == [PING] for now in range(100, 1_000, 100))


def test_a_client_that_pinged_once_is_timed_out_after_30_seconds_of_silence() -> None:
    """Check 43."""
    connection = make_open(limits=Limits(ping_s=100))
    connection.receive(PING, 1.0)
    connection.receive('{"type":99}\x1e', 5.0)

    assert connection.next_deadline == 35.0
    assert connection.tick(34.9) == []
    outputs = connection.tick(35.0)

    assert texts(outputs) == [BROKEN]
    assert connection.is_closed


@given(
    st.lists(
        st.sampled_from(
            [PING, '{"type":1,"target":"Add","arguments":[]}\x1e', '{"type":99}\x1e', '{"type":7}\x1e', "junk\x1e",
             '{"type":1,"target":"ü","arguments":[],"invocationId":"0"}\x1e']
        ),
        max_size=5,
    ),
    st.lists(st.integers(0, 1_000), max_size=8),
)  # fmt: skip
def test_any_split_of_the_text_gives_the_same_outputs(said: list[str], places: list[int]) -> None:
    """Check 32."""
    stream = HANDSHAKE + "".join(said)
    whole, split = Connection(now=0.0, methods={"Add"}), Connection(now=0.0, methods={"Add"})
    pieces = [piece.decode(errors="surrogateescape") for piece in cut(stream.encode("ascii", "replace"), places)]

    expected = whole.receive(stream.encode("ascii", "replace").decode(), 0.0)
    found = [output for piece in pieces for output in split.receive(piece, 0.0)]

    assert texts(found) == texts(expected)
    assert news(found) == news(expected)


@given(st.lists(st.text(max_size=30) | st.binary(max_size=30), max_size=5), st.booleans())
def test_garbage_never_raises_and_ends_at_most_once(said: list[str | bytes], shakes: bool) -> None:
    connection = make_open() if shakes else Connection(now=0.0)

    outputs = [output for data in said for output in connection.receive(data, 1.0)]

    assert sum(isinstance(output, Closed) for output in outputs) == connection.is_closed
