"""What a hub can do for many connections at once: Azure's data-plane operations."""

from __future__ import annotations

import pytest

from streamsink.backends.gateway.audience import EVERYBODY, Audience
from streamsink.backends.gateway.hub import Hub
from streamsink.backends.gateway.json_protocol import JSON
from streamsink.backends.gateway.messagepack_protocol import MESSAGE_PACK
from streamsink.backends.gateway.messages import Invocation

from .support import RecordingTransport

CALL = Invocation("news", [1, {"a": None}])


class Crowd:
    """Ann twice, Bob, and somebody without a name; all but Bob in one group."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.transports: dict[str, RecordingTransport] = {}
        for connection_id, user_id in [("a1", "ann"), ("a2", "ann"), ("b", "bob"), ("n", None)]:
            transport = self.transports[connection_id] = RecordingTransport()
            protocol = MESSAGE_PACK if connection_id == "a2" else JSON
            self.hub.connect(connection_id, user_id, protocol=protocol, transport=transport)
            if connection_id != "b":
                self.hub.join("g", connection_id)

    def reached(self) -> str:
        return " ".join(name for name, transport in self.transports.items() if transport.frames)

    def closed(self) -> str:
        return " ".join(name for name, transport in self.transports.items() if transport.closed)


AUDIENCES = [
    (EVERYBODY, "a1 a2 b n"),
    (Audience(excluded=["a1", "b", "unknown"]), "a2 n"),
    (Audience(group="g"), "a1 a2 n"),
    (Audience(group="g", excluded=["n"]), "a1 a2"),
    (Audience(group="G"), ""),
    (Audience(user_id="ann"), "a1 a2"),
    (Audience(user_id="ann", excluded=["a2"]), "a1"),
    (Audience(user_id="nobody"), ""),
    (Audience(connection_id="n"), "n"),
    (Audience(connection_id="n", excluded=["n"]), ""),
    (Audience(connection_id="unknown"), ""),
]


@pytest.mark.parametrize(("audience", "names"), AUDIENCES)
def test_a_call_reaches_whom_it_is_for(audience: Audience, names: str) -> None:
    """Checks 56 and 57."""
    crowd = Crowd()

    crowd.hub.send(CALL, audience)

    assert crowd.reached() == names


@pytest.mark.parametrize(("audience", "names"), AUDIENCES)
def test_whoever_is_meant_is_closed_with_a_reason(audience: Audience, names: str) -> None:
    """Checks 56 and 62."""
    crowd = Crowd()

    count = crowd.hub.close_all(audience, "bye", allow_reconnect=True)

    assert crowd.closed() == names
    assert count == len(names.split()) == 4 - len(crowd.hub)
    assert not crowd.hub.reaches(audience)
    assert all(transport.closed in ([], [("bye", True, False)]) for transport in crowd.transports.values())


@pytest.mark.parametrize(("audience", "names"), AUDIENCES)
def test_a_hub_knows_whom_it_reaches(audience: Audience, names: str) -> None:
    """Check 58."""
    assert Crowd().hub.reaches(audience) is bool(names)


def test_a_call_is_encoded_once_per_protocol() -> None:
    crowd = Crowd()

    crowd.hub.send(CALL)

    first, binary, second, _ = (transport.frames[0] for transport in crowd.transports.values())
    assert first is second
    assert first.payload == JSON.encode(CALL).payload
    assert binary.payload == MESSAGE_PACK.encode(CALL).payload


def test_a_slow_reader_of_calls_is_closed_and_counted() -> None:
    """Check 49."""
    crowd = Crowd()
    crowd.transports["b"].is_behind = True

    crowd.hub.send(CALL)

    assert crowd.reached() == "a1 a2 n"
    assert crowd.hub.slow_readers == 1


async def test_a_group_that_is_only_followed_here_has_no_members() -> None:
    hub = Hub()
    async with hub.subscribe("g"):
        assert not hub.reaches(Audience(group="g"))


def test_nothing_remains_of_who_has_gone() -> None:
    crowd = Crowd()

    for connection_id in crowd.transports:
        crowd.hub.disconnect(connection_id)

    assert [crowd.hub._users, crowd.hub._groups, crowd.hub._connections] == [{}, {}, {}]
