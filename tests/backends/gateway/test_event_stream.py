"""Connections on Server-Sent Events."""

from __future__ import annotations

import asyncio

import pytest

from streamsink.core.events import Record

from .exchanges import negotiated, streaming
from .support import HANDSHAKE, Site, make_event, settle

BROKEN = b'data: {"type":7,"error":"Connection closed with an error.","allowReconnect":true}\x1e\r\n\r\n'
CALL = '{"type":1,"target":"X","arguments":[],"invocationId":"0"}\x1e'


@pytest.fixture
async def site() -> Site:
    return Site(close_s=0.0)


async def test_the_first_bytes_come_before_any_message_and_nothing_delays_them(site: Site) -> None:
    """Check 47."""
    client = await negotiated(site)
    stream = client.stream(origin="https://page.test")
    await settle()

    assert stream.status == 200
    assert stream.body == b":\r\n"
    assert stream.headers == {
        "content-type": "text/event-stream",
        "cache-control": "no-cache, no-store",
        "content-encoding": "identity",
        "x-accel-buffering": "no",
        "access-control-allow-origin": "https://page.test",
        "access-control-allow-credentials": "true",
        "vary": "Origin",
    }
    stream.hang_up()
    await stream.task


async def test_messages_travel_as_events(site: Site) -> None:
    """Check 38: those of one turn share one."""
    client, stream = await streaming(site)
    site.hub.join("g", client.connection_id, "ann")

    site.hub.publish("g", [make_event(1)])
    site.hub.publish("g", [make_event(2)])
    await settle()

    event = stream.sent[-1]["body"]
    assert event.startswith(b'data: {"type":1,')
    assert event.endswith(b"\x1e\r\n\r\n")
    assert event.count(b"data:") == 1
    assert event.count(b"\x1e") == 2
    stream.hang_up()
    await stream.task


async def test_line_ends_in_a_message_stay_inside_its_event(site: Site) -> None:
    """Each line is a ``data:`` of its own; the client puts them together again."""
    client, stream = await streaming(site)
    site.hub.join("g", client.connection_id)

    site.hub.publish("g", [Record("T", b'{"a":\r\n1,\r"b":\n2}').at("1", 1)])
    await settle()

    lines = stream.sent[-1]["body"].split(b"\r\n")
    assert all(line.startswith(b"data: ") for line in lines[:-2])
    assert len(lines) == 6
    stream.hang_up()
    await stream.task


async def test_calls_are_answered_and_every_post_is_200_and_empty(site: Site) -> None:
    """Checks 32, 36 and 48."""
    client, stream = await streaming(site)

    answers = [await client.post(CALL[:9]), await client.post(CALL[9:] + CALL)]
    await settle()

    assert [(answer.status, answer.body) for answer in answers] == [(200, b""), (200, b"")]
    assert stream.body.count(b"Method does not exist") == 2
    stream.hang_up()
    await stream.task


async def test_binary_protocols_are_refused(site: Site) -> None:
    """Check 29."""
    client = await negotiated(site)
    stream = client.stream()
    await settle()

    await client.post('{"protocol":"messagepack","version":1}\x1e')
    await settle()

    assert stream.body.endswith(
        b'data: {"error":"Cannot use the \'messagepack\' protocol on the current transport. '
        b"The transport does not support 'Binary' transfer format.\"}\x1e\r\n\r\n"
    )
    assert stream.is_complete
    stream.hang_up()
    await stream.task


async def test_an_idle_stream_is_pinged(site: Site) -> None:
    """Check 42."""
    _, stream = await streaming(site)
    site.clock.advance(14)
    site.app.tick()
    await settle()

    assert stream.sent[-1]["body"] == b'data: {"type":6}\x1e\r\n\r\n'
    stream.hang_up()
    await stream.task


async def test_no_handshake_ends_the_stream(site: Site) -> None:
    """Check 23."""
    client = await negotiated(site)
    stream = client.stream()
    await settle()
    site.clock.advance(15)
    site.app.tick()
    await settle()

    assert stream.body == b':\r\ndata: {"error":"Handshake was canceled."}\x1e\r\n\r\n'
    assert stream.is_complete
    stream.hang_up()
    await stream.task
    assert (await client.post(HANDSHAKE)).status == 404


async def test_a_client_that_drops_the_stream_is_forgotten_at_once(site: Site) -> None:
    """Check 47."""
    before = asyncio.all_tasks()
    client, stream = await streaming(site)
    site.hub.join("g", client.connection_id)

    stream.hang_up()
    await stream.task

    assert len(site.hub) == 0
    assert len(site.app._sessions) == 0
    assert client.connection_id not in site.hub
    assert (await client.post(CALL)).status == 404
    assert asyncio.all_tasks() == before


async def test_a_closed_connection_says_so_and_the_stream_ends(site: Site) -> None:
    """Check 44."""
    client, stream = await streaming(site)

    site.hub.close(client.connection_id, "bye")
    await stream.task

    assert stream.body.endswith(b'data: {"type":7,"error":"bye"}\x1e\r\n\r\n')
    assert stream.is_complete


async def test_a_clients_close_ends_the_stream(site: Site) -> None:
    """Check 45."""
    client, stream = await streaming(site)

    assert (await client.post('{"type":7}\x1e')).status == 200
    await stream.task

    assert stream.is_complete
    assert len(site.hub) == 0


@pytest.mark.parametrize("body", [b"nonsense\x1e", b"\xff\xfe", b"x" * 40_000, b"x" * 70_000])
async def test_garbage_ends_its_connection_only(site: Site, body: bytes) -> None:
    """Checks 33, 35 and 41; memory is bounded before anything is parsed."""
    client, stream = await streaming(site)
    other, other_stream = await streaming(site)

    answer = await client.post(body + b"\x1e")
    await stream.task

    assert answer.status == (413 if len(body) > 65_536 else 200)
    assert stream.body.endswith(BROKEN)
    assert (await other.post(CALL)).status == 200
    other_stream.hang_up()
    await other_stream.task


async def test_a_stream_is_one(site: Site) -> None:
    """Check 12: and other transports are refused."""
    client, stream = await streaming(site)

    again = await client.stream().answer()
    poll = await client.poll()
    delete = await client.ask("DELETE").answer()
    upgrade = await site.socket(client.query).refused()

    assert [again.status, poll.status, delete.status, upgrade.status] == [409, 400, 400, 400]
    assert poll.body == upgrade.body == b"Cannot change transports mid-connection"
    stream.hang_up()
    await stream.task


async def test_a_token_that_expires_is_noticed_at_the_next_post(site: Site) -> None:
    """Check 22."""
    client, stream = await streaming(site)
    token = f"Bearer {site.token()}"
    assert (await client.post(CALL, authorization=token)).status == 200
    site.clock.advance(3_600)

    assert (await client.post(CALL, authorization=token)).status == 401
    assert not stream.is_complete
    stream.hang_up()
    await stream.task


async def test_a_token_in_the_query_opens_a_stream_and_sends_nothing(site: Site) -> None:
    """Check 18."""
    client = await negotiated(site)
    client.query += f"&access_token={site.token()}"
    stream = client.stream(no_token="")
    await settle()

    assert stream.status == 200
    assert (await client.post(HANDSHAKE, no_token="")).status == 401
    stream.hang_up()
    await stream.task


async def test_a_reader_that_stands_still_is_cut_off() -> None:
    """Check 49: bounded memory, counted, nobody else affected."""
    site = Site(max_buffered_bytes=1_000, close_s=0.0)
    (slow, stream), (other, other_stream) = await streaming(site), await streaming(site)
    for client in (slow, other):
        site.hub.join("g", client.connection_id)
    stream.may_send.clear()

    for seq in range(100):
        site.hub.publish("g", [make_event(seq)])
        await asyncio.sleep(0)
    await stream.task
    await settle()

    assert site.hub.slow_readers == 1
    assert not stream.is_complete
    assert other_stream.body.count(b"\x1e") == 101
    other_stream.hang_up()
    await other_stream.task


async def test_a_draining_gateway_asks_streams_to_reconnect(site: Site) -> None:
    _, stream = await streaming(site)

    await site.app.aclose()
    await stream.task

    assert stream.body.endswith(b'data: {"type":7,"allowReconnect":true}\x1e\r\n\r\n')


async def test_a_body_that_stops_in_the_middle_changes_nothing(site: Site) -> None:
    client, stream = await streaming(site)
    post = client.ask("POST", body=CALL.encode())
    post._incoming.get_nowait()
    post._incoming.put_nowait({"type": "http.request", "body": b'{"type":6}', "more_body": True})
    post.hang_up()

    assert (await post.answer()).status == 400
    assert not stream.is_complete
    stream.hang_up()
    await stream.task


async def test_a_severed_stream_ends_without_a_word(site: Site) -> None:
    _, stream = await streaming(site)
    before = stream.body

    next(iter(site.app._sessions._sessions)).sever()
    await settle()

    assert (stream.body, stream.is_complete, len(site.hub)) == (before, True, 0)
    stream.hang_up()
    await stream.task
