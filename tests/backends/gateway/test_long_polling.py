"""Connections on long polling."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from .exchanges import HttpClient, negotiated, polling
from .support import HANDSHAKE, Site, make_event, settle

CALL = '{"type":1,"target":"X","arguments":[],"invocationId":"0"}\x1e'
BINARY = '{"protocol":"messagepack","version":1}\x1e'


@pytest.fixture
async def site() -> Site:
    return Site(close_s=0.0)


async def gone(client: HttpClient) -> None:
    """End a connection as the official client does."""
    assert (await client.ask("DELETE").answer()).status == 202
    await settle()


async def test_the_first_poll_is_answered_at_once_and_empty(site: Site) -> None:
    """Check 46."""
    client = await negotiated(site)

    answer = await client.poll()

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["cache-control"] == "no-cache, no-store"
    assert len(site.app._sessions) == 1
    await gone(client)


async def test_a_poll_waits_for_messages_and_takes_all_there_are(site: Site) -> None:
    """Checks 38 and 46."""
    client = await polling(site)
    site.hub.join("g", client.connection_id, "ann")
    poll = client.ask("GET")
    await settle()
    assert poll.sent == []

    site.hub.publish("g", [make_event(1)])
    site.hub.publish("g", [make_event(2)])
    answer = await poll.answer()

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == "no-cache, no-store"
    assert answer.body.count(b"\x1e") == 2
    await gone(client)


async def test_what_comes_between_two_polls_waits(site: Site) -> None:
    client = await polling(site)

    assert (await client.post(CALL)).body == b""
    answer = await client.poll()

    assert b"Method does not exist" in answer.body
    await gone(client)


async def test_a_binary_protocol_is_spoken_in_bodies(site: Site) -> None:
    """Checks 30 and 39."""
    client = await polling(site, BINARY)
    site.hub.join("g", client.connection_id)

    await client.post(bytes.fromhex("0c 95 01 80 a1 30 a3 41 64 64 92 28 02"))
    completion = (await client.poll()).body
    site.hub.publish("g", [make_event(1)])
    event = (await client.poll()).body

    assert msgspec.msgpack.decode(completion[1:])[:4] == [3, {}, "0", 1]
    assert msgspec.msgpack.decode(event[1:])[3:5] == ["agentMessage", [{"text": "hi", "seq": 1, "epoch": "1700"}]]
    await gone(client)


async def test_a_newer_poll_ends_the_older_one(site: Site) -> None:
    """Check 46."""
    client = await polling(site)
    first = client.ask("GET")
    await settle()
    second = client.ask("GET")

    assert (await first.answer()).status == 204
    await client.post(CALL)
    assert b"Method does not exist" in (await second.answer()).body
    await gone(client)


async def test_what_came_as_a_newer_poll_did_is_not_lost(site: Site) -> None:
    client = await polling(site)
    site.hub.join("g", client.connection_id)
    first = client.ask("GET")
    await settle()
    second = client.ask("GET")
    site.hub.publish("g", [make_event(1)])

    answers = [await first.answer(), await second.answer()]

    assert sorted(answer.status for answer in answers) == [200, 204]
    assert b"".join(answer.body for answer in answers).count(b"\x1e") == 1
    await gone(client)


async def test_an_idle_poll_ends_empty_before_clients_give_up(site: Site) -> None:
    """Checks 42 and 46: after 90 seconds, without a ping."""
    client = await polling(site)
    poll = client.ask("GET")
    await settle()
    for _ in range(89):
        site.clock.advance(1)
        site.app.tick()
    await settle()
    assert poll.sent == []
    site.clock.advance(1)
    site.app.tick()

    answer = await poll.answer()

    assert (answer.status, answer.body) == (200, b"")
    await gone(client)


async def test_a_client_that_stops_polling_is_forgotten(site: Site) -> None:
    before = asyncio.all_tasks()
    client = await polling(site)
    site.hub.join("g", client.connection_id)
    site.clock.advance(14)
    site.app.tick()
    assert site.hub.members("g") == [client.connection_id]
    site.clock.advance(1)
    site.app.tick()
    await settle()

    assert len(site.hub) == len(site.app._sessions) == 0
    assert (await client.poll()).status == 404
    assert asyncio.all_tasks() == before


async def test_a_poll_whose_client_drops_it_takes_nothing(site: Site) -> None:
    client = await polling(site)
    poll = client.ask("GET")
    await settle()
    poll.hang_up()
    assert (await poll.answer()).status == 204

    await client.post(CALL)

    assert b"Method does not exist" in (await client.poll()).body
    await gone(client)


async def test_delete_ends_the_connection(site: Site) -> None:
    """Check 46: the open poll too; the official client's late Close meets 404."""
    before = asyncio.all_tasks()
    client = await polling(site)
    poll = client.ask("GET")
    await settle()

    answer = await client.ask("DELETE").answer()

    assert (answer.status, answer.body) == (202, b"")
    assert (await poll.answer()).status == 204
    assert (await client.post('{"type":7}\x1e')).status == 404
    assert (await client.poll()).status == 404
    assert len(site.hub) == 0
    await settle()
    assert asyncio.all_tasks() == before


async def test_a_closed_connection_says_so_and_then_ends() -> None:
    """Checks 44 and 46."""
    site = Site(close_s=60.0)
    client = await polling(site)
    poll = client.ask("GET")
    await settle()

    site.hub.close(client.connection_id, "bye")

    assert (await poll.answer()).body == b'{"type":7,"error":"bye"}\x1e'
    assert (await client.poll()).status == 204
    await settle()
    assert (await client.poll()).status == 404


async def test_a_closed_connection_that_nobody_polls_ends_too(site: Site) -> None:
    client = await polling(site)

    site.hub.close(client.connection_id, "bye")
    await settle()

    assert len(site.app._sessions) == 0
    assert (await client.poll()).status == 404


async def test_a_clients_close_ends_the_connection() -> None:
    """Check 45."""
    site = Site(close_s=60.0)
    client = await polling(site)

    await client.post('{"type":7}\x1e')

    assert (await client.poll()).status == 204
    await settle()
    assert len(site.app._sessions) == 0


async def test_no_handshake_ends_the_connection() -> None:
    """Check 23."""
    site = Site(close_s=60.0)
    client = await negotiated(site)
    await client.poll()
    poll = client.ask("GET")
    await settle()
    site.clock.advance(15)
    site.app.tick()

    assert (await poll.answer()).body == b'{"error":"Handshake was canceled."}\x1e'
    assert (await client.poll()).status == 204
    await settle()


@pytest.mark.parametrize("body", [b"nonsense\x1e", b"\xff\xfe\x1e", b"x" * 40_000, b"x" * 70_000])
async def test_garbage_closes_so_that_the_client_may_reconnect(body: bytes) -> None:
    """Checks 33, 35 and 41."""
    site = Site(close_s=60.0)
    client = await polling(site)

    answer = await client.post(body)

    assert answer.status == (413 if len(body) > 65_536 else 200)
    assert (await client.poll()).body == (
        b'{"type":7,"error":"Connection closed with an error.","allowReconnect":true}\x1e'
    )
    await gone(client)


async def test_a_client_that_does_not_poll_fast_enough_is_told_to_reconnect() -> None:
    """Check 49: bounded memory, counted."""
    site = Site(max_buffered_bytes=1_000, close_s=60.0)
    client = await polling(site)
    site.hub.join("g", client.connection_id)

    for seq in range(100):
        site.hub.publish("g", [make_event(seq)])

    assert site.hub.slow_readers == 1
    assert (await client.poll()).body == (
        b'{"type":7,"error":"The connection cannot keep up.","allowReconnect":true}\x1e'
    )
    await gone(client)


async def test_who_asks_and_never_polls_is_bounded_too() -> None:
    """Check 49."""
    site = Site(max_buffered_bytes=1_000, close_s=60.0)
    client = await polling(site)

    for _ in range(20):
        await client.post(CALL)

    assert b"cannot keep up" in (await client.poll()).body
    await gone(client)


async def test_a_token_that_expires_is_noticed_at_the_next_poll(site: Site) -> None:
    """Check 22."""
    client = await polling(site)
    token = f"Bearer {site.token()}"
    poll = client.ask("GET", authorization=token)
    await settle()
    site.clock.advance(3_600)
    site.app.tick()
    assert (await poll.answer()).status == 200

    assert (await client.poll(authorization=token)).status == 401
    assert (await client.post(CALL, authorization=token)).status == 401
    await gone(client)


async def test_another_transport_is_refused(site: Site) -> None:
    """Checks 12 and 48."""
    client = await polling(site)

    stream = await client.stream().answer()
    upgrade = await site.socket(client.query).refused()

    assert [stream.status, upgrade.status] == [400, 400]
    assert stream.body == b"Cannot change transports mid-connection"
    await gone(client)


async def test_somebody_elses_connection_is_unknown(site: Site) -> None:
    client = await polling(site)
    bob = {"authorization": f"Bearer {site.token('bob')}"}

    answers = [await client.poll(**bob), await client.post(CALL, **bob), await client.ask("DELETE", **bob).answer()]

    assert [answer.status for answer in answers] == [404, 404, 404]
    await gone(client)


async def test_a_draining_gateway_can_still_say_so() -> None:
    site = Site(close_s=60.0)
    client, waiting = await polling(site), await negotiated(site)

    closing = asyncio.create_task(site.app.aclose())
    await settle()

    assert (await client.poll()).body == b'{"type":7,"allowReconnect":true}\x1e'
    assert (await waiting.poll()).status == 503
    assert (await client.poll()).status == 204
    await closing


async def test_a_cancelled_poll_leaves_no_task(site: Site) -> None:
    client = await polling(site)
    before = asyncio.all_tasks()
    poll = client.ask("GET")
    await settle()

    poll.task.cancel()
    await asyncio.gather(poll.task, return_exceptions=True)

    assert asyncio.all_tasks() == before
    await gone(client)


async def test_the_handshake_may_come_in_pieces(site: Site) -> None:
    """Check 28."""
    client = await negotiated(site)
    await client.poll()
    await client.post(HANDSHAKE[:9])
    await client.post(HANDSHAKE[9:] + CALL)

    assert (await client.poll()).body == b"{}\x1e"
    assert b"Method does not exist" in (await client.poll()).body
    await gone(client)


async def test_a_severed_connection_ends_without_a_word() -> None:
    site = Site(close_s=5.0)
    client = await polling(site)
    poll = client.ask("GET")
    await settle()

    next(iter(site.app._sessions._sessions)).sever()

    answer = await poll.answer()
    assert (answer.status, answer.body, len(site.hub)) == (204, b"", 0)
    await settle()
