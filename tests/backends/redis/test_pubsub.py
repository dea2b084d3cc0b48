"""How what one read brings is handed on; connections to real servers are tested with the subscriber."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamsink.backends.redis.pubsub import PubSubConnection

from .scripted_server import about

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


def published(channel: bytes, payload: bytes) -> bytes:
    return b"*3\r\n$8\r\nsmessage\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(channel), channel, len(payload), payload)


class Noting:
    """A listener that notes what it is told, with others, in order."""

    def __init__(self, name: str, said: list[Any]) -> None:
        self._name, self._said = name, said

    def on_messages(self, payloads: Sequence[bytes]) -> None:
        self._said.append((self._name, list(payloads)))
        if b"bad" in payloads:
            raise LookupError("a prompt")

    def on_gap(self) -> None:
        self._said.append((self._name, "gap"))


async def test_what_one_read_brings_of_a_channel_comes_together(caplog: pytest.LogCaptureFixture) -> None:
    """In order with what else the server says; a listener that fails keeps nothing from others."""
    said: list[Any] = []
    routes = {b"a": (Noting("a", said), Noting("too", said)), b"b": (Noting("b", said),)}
    connection = PubSubConnection(routes, lambda reply: said.append(reply[0]))
    connection._greeting = None
    stream = [
        published(b"a", b"1"), published(b"b", b"bad"), published(b"nobody", b"0"), published(b"a", b"2"),
        about(b"ssubscribe", b"c"), published(b"b", b"3"),
    ]  # fmt: skip

    connection.data_received(b"".join(stream) + published(b"a", b"4")[:-3])
    connection.data_received(published(b"a", b"4")[-3:])

    assert said == [
        ("a", [b"1", b"2"]), ("too", [b"1", b"2"]), ("b", [b"bad"]), b"ssubscribe", ("b", [b"3"]),
        ("a", [b"4"]), ("too", [b"4"]),
    ]  # fmt: skip
    assert "LookupError" in caplog.text
    assert "a prompt" not in caplog.text


async def test_what_came_before_nonsense_is_handed_on() -> None:
    said: list[Any] = []
    connection = PubSubConnection({b"a": (Noting("a", said),)}, said.append)
    connection._greeting = None

    connection.data_received(published(b"a", b"1") + b"nonsense\r\n")

    assert said == [("a", [b"1"])]
