"""Connections on raw sockets, with a transport that records."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from streamsink.backends.gateway.hub import TOO_SLOW
from streamsink.backends.gateway.json_protocol import JSON
from streamsink.backends.gateway.sockets import Sockets
from streamsink.core.errors import UnavailableError

from .support import HANDSHAKE, HUB, Site, make_event, settle

if TYPE_CHECKING:
    from streamsink.backends.gateway.socket_protocol import SocketProtocol

CLOSE = b'{"type":7,"allowReconnect":true}\x1e'


class Wire(asyncio.Transport):
    """The network: keeps what is written, until the client takes it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.buffered = 0
        self.high: int | None = None
        self.reads = True
        self.is_aborted = False
        self._is_closing = False

    def write(self, data: Any) -> None:
        self.writes.append(data)

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def close(self) -> None:
        self._is_closing = True

    def abort(self) -> None:
        self.is_aborted = self._is_closing = True

    def is_closing(self) -> bool:
        return self._is_closing


class Caller:
    """A client and its connection."""

    def __init__(self, world: World, query: str = f"hub={HUB}", *, headers: dict[str, str] | None = None) -> None:
        self.wire = Wire()
        self.lost: list[asyncio.Protocol] = []
        self.protocol: SocketProtocol = world.sockets.protocol(self.lost.append)
        self.client = ClientProtocol(parse_uri(f"ws://gateway.test/client/?{query}"))
        request = self.client.connect()
        if headers is None:
            headers = {"Authorization": f"Bearer {world.site.token()}"}
        request.headers.update(headers)
        self.client.send_request(request)
        self.protocol.connection_made(self.wire)
        self.send()

    def send(self) -> None:
        self.protocol.data_received(b"".join(self.client.data_to_send()))

    def say(self, text: str) -> None:
        self.client.send_text(text.encode())
        self.send()

    def heard(self) -> list[bytes]:
        """The messages since the last time."""
        return [bytes(event.data) for event in self._events() if event.opcode is Opcode.TEXT]

    def response(self) -> Response:
        (response,) = self._take()
        assert isinstance(response, Response)
        return response

    def lose(self) -> None:
        self.protocol.connection_lost(None)

    def _events(self) -> list[WireFrame]:
        return [event for event in self._take() if isinstance(event, WireFrame)]

    def _take(self) -> list[Any]:
        for data in self.wire.writes:
            self.client.receive_data(data)
        self.wire.writes.clear()
        return list(self.client.events_received())


class World:
    """A gateway's raw connections."""

    def __init__(self, **options: Any) -> None:
        self.site = Site(max_buffered_bytes=1_000)
        self.claimed = asyncio.Event()
        self.claimed.set()
        self.failure: Exception | None = None
        self.sockets = Sockets(
            self.site.admission,
            claim=self._claim,
            release=self._release,
            clock=self.site.clock,
            max_buffered_bytes=1_000,
            sleep=lambda _: self.site.turns.get(),
            **options,
        )
        self.released: list[str] = []

    async def _claim(self, request: Any, caller: Any) -> tuple[str, str]:
        await self.claimed.wait()
        if self.failure is not None:
            raise self.failure
        return await self.site.app.claim(request, caller)

    async def _release(self, token: str) -> None:
        self.released.append(token)
        if self.failure is not None:
            raise self.failure
        await self.site.connections.release(token)

    async def opened(self, *groups: str) -> Caller:
        """A connection whose handshake is over."""
        caller = Caller(self)
        await settle()
        assert caller.response().status_code == 101
        caller.say(HANDSHAKE)
        await settle()
        assert caller.heard() == [b"{}\x1e"]
        connection_id = list(self.site.hub._connections)[-1]
        for group in groups:
            self.site.hub.join(group, connection_id, "ann")
        return caller

    async def end(self, *callers: Caller) -> None:
        for caller in callers:
            caller.lose()
        await self.sockets.aclose()


@pytest.fixture
async def world() -> World:
    return World()


def records(*seqs: int) -> bytes:
    return b"".join(JSON.frame([[make_event(seq)]]).payload for seq in seqs)


async def test_nothing_is_read_before_the_answer(world: World) -> None:
    world.claimed.clear()
    caller = Caller(world)
    await settle()
    before = caller.wire.reads

    world.claimed.set()
    await settle()

    assert (before, caller.wire.reads) == (False, True)
    assert caller.response().status_code == 101
    await world.end(caller)


async def test_one_publish_is_one_write_of_the_shared_bytes(world: World) -> None:
    first, second = await world.opened("g"), await world.opened("g")

    world.site.hub.publish("g", [make_event(1)])

    assert len(first.wire.writes) == 1
    assert first.wire.writes[0] is second.wire.writes[0]
    assert first.heard() == [records(1)]
    await world.end(first, second)


async def test_clients_that_come_all_at_once_are_let_in_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamsink.backends.gateway.sockets._UPGRADES_AT_ONCE", 2)
    world = World()
    callers = [Caller(world) for _ in range(5)]
    tasks: list[int] = []

    for _ in range(3):
        await asyncio.sleep(0)
        tasks.append(sum(task.get_name() == "websocket upgrade" for task in asyncio.all_tasks()))
    await settle()

    assert max(tasks) == 2
    assert [caller.response().status_code for caller in callers] == [101] * 5
    await world.end(*callers)


async def test_what_comes_while_the_network_is_behind_waits_and_is_joined(world: World) -> None:
    caller = await world.opened("g")
    caller.protocol.pause_writing()
    for seq in (1, 2):
        world.site.hub.publish("g", [make_event(seq)])
        await settle()
    assert caller.wire.writes == []

    caller.protocol.resume_writing()

    assert caller.heard() == [records(1, 2)]
    await world.end(caller)


async def test_a_reader_beyond_the_bound_is_asked_to_reconnect_and_cut(world: World) -> None:
    """Check 49."""
    world.sockets.close_s = 0.0
    caller = await world.opened("g")
    caller.protocol.pause_writing()
    caller.wire.buffered = 950
    for seq in (1, 2, 3):
        world.site.hub.publish("g", [make_event(seq)])

    assert world.site.hub.members("g") == []
    assert caller.heard() == [b'{"type":7,"error":"%b","allowReconnect":true}\x1e' % TOO_SLOW.encode()]
    await settle()
    assert caller.wire.is_aborted
    await world.end(caller)


async def test_who_asks_and_never_reads_is_cut_off(world: World) -> None:
    caller = await world.opened()
    assert caller.wire.high == 1_000  # the bound: past it the network says that it is behind
    caller.wire.buffered = 1_001
    caller.protocol.pause_writing()

    caller.client.send_ping(b"x")
    caller.send()

    assert len(world.site.hub) == 0
    await world.end(caller)


async def test_pings_are_sent_when_nothing_else_was(world: World) -> None:
    """Check 42."""
    caller = await world.opened("g")
    world.site.clock.advance(10)
    world.sockets.tick()
    await settle()
    world.site.hub.publish("g", [make_event(1)])
    await settle()
    world.site.clock.advance(5)
    world.sockets.tick()
    await settle()
    assert caller.heard() == [records(1)]

    world.site.clock.advance(9)
    world.sockets.tick()
    await settle()

    assert caller.heard() == [b'{"type":6}\x1e']
    await world.end(caller)


async def test_who_leaves_before_its_turn_is_sent_no_ping(world: World) -> None:
    caller = await world.opened()
    world.site.clock.advance(15)

    world.sockets.tick()
    caller.lose()
    await settle()

    assert caller.heard() == []
    await world.end()


async def test_a_clients_close_is_answered_and_its_token_released(world: World) -> None:
    caller = await world.opened("g")

    caller.client.send_close(1000)
    caller.send()

    assert caller.wire.is_closing()
    assert world.site.hub.members("g") == []
    caller.lose()
    await settle()
    assert caller.lost == [caller.protocol]
    assert len(world.released) == 1
    await world.end()


async def test_drain_asks_for_a_reconnect_and_aclose_waits_for_the_end(world: World) -> None:
    caller, waiting = await world.opened(), Caller(world)
    await settle()
    closing = asyncio.create_task(world.sockets.aclose())
    await settle()

    assert caller.heard() == [CLOSE]
    assert waiting._take()[-1].opcode is Opcode.CLOSE
    assert not closing.done()
    caller.lose()
    waiting.lose()
    await closing


async def test_a_severed_connection_ends_without_a_word(world: World) -> None:
    caller = await world.opened()

    caller.protocol.sever()

    assert (caller.wire.writes, caller.wire.is_aborted, len(world.site.hub)) == ([], True, 0)
    caller.lose()
    await settle()


async def test_shutdown_by_the_server_asks_for_a_reconnect(world: World) -> None:
    world.claimed.clear()
    waiting = Caller(world)
    waiting.protocol.shutdown()
    assert waiting.wire.is_closing()
    world.claimed.set()
    caller = await world.opened()

    caller.protocol.shutdown()

    assert caller.heard() == [CLOSE]
    waiting.lose()
    await world.end(caller)


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("hub=other", None, 404),
        ("", None, 400),
        (f"hub={HUB}&id=unknown", None, 404),
        (f"hub={HUB}", {}, 401),
        (f"hub={HUB}", {"Origin": "https://elsewhere.test"}, 403),
    ],
)
async def test_refusals_come_before_the_upgrade(
    world: World, query: str, headers: dict[str, str] | None, status: int
) -> None:
    caller = Caller(world, query, headers=headers)
    await settle()

    assert caller.response().status_code == status
    assert caller.wire.is_closing()
    await world.end(caller)


async def test_a_failure_of_the_token_store_is_an_internal_error(world: World) -> None:
    world.failure = ValueError("bug")
    caller = Caller(world)
    await settle()

    assert caller.response().status_code == 500
    await world.end(caller)


async def test_a_token_that_cannot_be_released_harms_nothing(world: World) -> None:
    caller = await world.opened()
    world.failure = UnavailableError("not now")

    await world.end(caller)

    assert len(world.released) == 1


@pytest.mark.parametrize("what", ["admission", "hub"])
async def test_who_comes_while_draining_is_refused(world: World, what: str) -> None:
    world.claimed.clear()
    caller = Caller(world)
    await settle()
    getattr(world.site, what).is_draining = True
    world.claimed.set()
    await settle()

    assert caller.response().status_code == 503
    assert len(world.released) == 1
    await world.end(caller)


@pytest.mark.parametrize("upgrade", [b"GET /client?" + b"x" * 9_000, b"GET /client?hub=chat"])
async def test_bad_requests_are_answered(world: World, upgrade: bytes) -> None:
    caller = Caller(world, headers={"No": "token"})
    caller.wire, caller.protocol = Wire(), world.sockets.protocol(caller.lost.append)
    caller.protocol.connection_made(caller.wire)
    token = world.site.token().encode()

    caller.protocol.data_received(
        upgrade + b" HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer " + token + b"\r\n\r\n"
    )
    await settle()

    assert caller.wire.writes[0].startswith((b"HTTP/1.1 414", b"HTTP/1.1 426"))
    assert caller.wire.is_closing()
    await world.end()


async def test_a_client_that_leaves_during_the_claim_gives_its_token_back(world: World) -> None:
    world.claimed.clear()
    caller = Caller(world)
    await settle()
    caller.protocol.eof_received()
    caller.lose()

    world.claimed.set()
    await settle()

    assert len(world.released) == 1
    await world.end()
