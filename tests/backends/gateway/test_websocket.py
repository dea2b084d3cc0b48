"""One connection on an ASGI WebSocket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.backends.gateway.connection import Connection
from streamsink.backends.gateway.websocket import WebSocketSession

from .support import HANDSHAKE, Site, make_event, settle

if TYPE_CHECKING:
    from collections.abc import MutableMapping


@pytest.fixture
async def site() -> Site:
    return Site(close_s=0.0)


async def test_events_of_one_turn_share_a_message(site: Site) -> None:
    """Check 38."""
    socket = await site.open()
    site.hub.join("g", "id1", "ann")

    site.hub.publish("g", [make_event(1)])
    site.hub.publish("g", [make_event(2)])
    await settle()

    (message,) = socket.said()[1:]
    assert message.count("\x1e") == 2
    assert message.index('"seq":1') < message.index('"seq":2')
    await socket.end()


async def test_the_handshakes_answer_travels_alone(site: Site) -> None:
    """Check 30."""
    socket = site.socket()
    socket.say(HANDSHAKE + '{"type":1,"target":"X","arguments":[],"invocationId":"0"}\x1e')
    await settle()

    reply, completion = socket.said()
    assert reply == "{}\x1e"
    assert completion.startswith('{"type":3,"invocationId":"0","error":')
    await socket.end()


async def test_a_message_in_pieces_is_put_together(site: Site) -> None:
    """Checks 28 and 32."""
    socket = site.socket()
    for piece in (HANDSHAKE[:5], HANDSHAKE[5:], '{"type":1,"target":"X","argu', 'ments":[],"invocationId":"0"}\x1e'):
        socket.say(piece)
    await settle()

    assert len(socket.said()) == 2
    await socket.end()


async def test_a_binary_handshake_is_answered_in_text(site: Site) -> None:
    """Checks 29 and 30."""
    socket = site.socket()
    socket.say(HANDSHAKE.encode())
    await settle()

    assert socket.said() == ["{}\x1e"]
    await socket.end()


async def test_a_closed_connection_says_so_and_ends(site: Site) -> None:
    """Check 62's close, and the end of the transport without the client's help."""
    socket = await site.open()

    site.hub.close("id1", "bye")
    await socket.task

    assert socket.said()[1:] == ['{"type":7,"error":"bye"}\x1e']
    assert socket.sent[-1] == {"type": "websocket.close", "code": 1000}


async def test_a_clients_close_ends_the_connection(site: Site) -> None:
    """Check 45."""
    socket = await site.open()

    socket.say('{"type":7}\x1e')
    await socket.task

    assert socket.said() == ["{}\x1e"]
    assert socket.is_closed
    assert len(site.hub) == 0


async def test_a_lost_connection_is_forgotten_at_once(site: Site) -> None:
    socket = await site.open()
    site.hub.join("g", "id1")

    await socket.end()

    assert site.hub.members("g") == []


async def test_no_handshake_ends_the_connection(site: Site) -> None:
    """Check 23."""
    socket = site.socket()
    await settle()
    site.clock.advance(15)

    site.app.tick()
    await socket.task

    assert socket.said() == ['{"error":"Handshake was canceled."}\x1e']


async def test_published_events_put_off_the_ping(site: Site) -> None:
    """Check 42."""
    socket = await site.open()
    site.hub.join("g", "id1")
    site.clock.advance(10)
    site.app.tick()
    site.hub.publish("g", [make_event()])
    site.clock.advance(5)
    site.app.tick()
    await settle()
    assert len(socket.said()) == 2

    site.clock.advance(9)
    site.app.tick()
    await settle()

    assert socket.said()[2:] == ['{"type":6}\x1e']
    await socket.end()


async def test_a_reader_that_stands_still_is_cut_off() -> None:
    """Check 49: bounded memory, nobody else affected."""
    site = Site(max_buffered_bytes=1_000, close_s=0.0)
    slow, other = await site.open(), await site.open()
    for connection_id in ("id1", "id3"):
        site.hub.join("g", connection_id)
    slow.may_send.clear()

    for seq in range(100):
        site.hub.publish("g", [make_event(seq)])
        await asyncio.sleep(0)
    await slow.task
    await settle()

    assert site.hub.slow_readers == 1
    assert slow.said() == ["{}\x1e"]
    assert sum(text.count("\x1e") for text in other.said()) == 101
    assert not other.is_closed
    await other.end()


async def test_a_slow_reader_that_wakes_up_in_time_is_told_to_reconnect() -> None:
    """Check 49."""
    site = Site(max_buffered_bytes=1_000, close_s=60.0)
    socket = await site.open()
    site.hub.join("g", "id1")
    socket.may_send.clear()
    for seq in range(100):
        site.hub.publish("g", [make_event(seq)])
        await asyncio.sleep(0)
    socket.may_send.set()
    await settle()

    assert socket.said()[-1] == ('{"type":7,"error":"The connection cannot keep up.","allowReconnect":true}\x1e')
    assert socket.is_closed
    await socket.end()


async def test_who_asks_and_never_reads_is_cut_off() -> None:
    site = Site(max_buffered_bytes=1_000, close_s=0.0)
    socket = await site.open()
    socket.may_send.clear()

    for _ in range(20):
        socket.say('{"type":1,"target":"X","arguments":[],"invocationId":"0"}\x1e')
    await socket.task

    assert len(site.hub) == 0


async def test_a_failing_send_ends_the_connection(site: Site) -> None:
    socket = await site.open()
    site.hub.join("g", "id1")
    socket.failure = OSError("gone")

    site.hub.publish("g", [make_event()])
    await socket.task

    assert len(site.hub) == 0


async def test_an_unexpected_failure_of_send_is_not_hidden(site: Site) -> None:
    socket = await site.open()
    site.hub.join("g", "id1")
    socket.failure = ValueError("bug")

    site.hub.publish("g", [make_event()])

    with pytest.raises(ValueError, match="bug"):
        await socket.task


@pytest.mark.parametrize("failure", [TimeoutError("the server's own"), ValueError("bug")])
async def test_a_failing_receive_is_not_hidden(site: Site, failure: Exception) -> None:
    socket = await site.open()
    socket.break_down(failure)

    with pytest.raises(type(failure)):
        await socket.task
    assert len(site.hub) == 0


async def test_a_cancelled_connection_leaves_no_task(site: Site) -> None:
    before = asyncio.all_tasks()
    socket = await site.open()

    socket.task.cancel()
    await asyncio.gather(socket.task, return_exceptions=True)

    assert asyncio.all_tasks() == before
    assert len(site.hub) == 0


async def test_a_connection_closed_before_it_is_served_ends() -> None:
    site = Site(close_s=0.0)
    socket = site.socket()
    socket.may_send.clear()  # the accept waits
    await settle()

    site.app.drain()
    socket.may_send.set()
    await socket.task

    assert socket.said() == ['{"error":"Handshake was canceled."}\x1e']


async def test_calls_that_nobody_handles_are_dropped(site: Site) -> None:
    session = WebSocketSession(
        Connection(now=0.0, methods={"X"}), hub=site.hub, connection_id="c1", user_id=None, clock=site.clock
    )
    sent: list[MutableMapping[str, Any]] = []
    messages: list[MutableMapping[str, Any]] = [
        {"type": "websocket.receive", "text": HANDSHAKE + '{"type":1,"target":"X","arguments":[]}\x1e'},
        {"type": "websocket.disconnect"},
    ]

    async def receive() -> MutableMapping[str, Any]:
        await settle()
        return messages.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await session.run(receive, send)

    assert sent == [{"type": "websocket.send", "text": "{}\x1e"}]
