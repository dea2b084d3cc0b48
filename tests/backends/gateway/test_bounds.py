"""What one client can make the gateway hold: measured, for every transport and every bad habit."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.backends.gateway.messagepack_protocol import with_length

from .exchanges import Exchange, HttpClient, negotiated, polling, streaming
from .support import HANDSHAKE, Site, Socket, make_event, settle

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 100
KIB = 1024
KINDS = ["WebSockets", "ServerSentEvents", "LongPolling"]
every_transport = pytest.mark.parametrize("kind", KINDS)


class Client:
    """A connected client, whatever carries it; ``sent`` goes through as a client's words do."""

    def __init__(self, site: Site, connection_id: str, *, socket: Socket | None, http: HttpClient | None) -> None:
        self.site = site
        self.connection_id = connection_id
        self._socket = socket
        self._http = http
        self._stream: Exchange | None = None

    @classmethod
    async def connect(cls, site: Site, kind: str) -> Client:
        before = set(site.hub._connections)
        if kind == "WebSockets":
            socket = await site.open()
            (connection_id,) = set(site.hub._connections) - before
            return cls(site, connection_id, socket=socket, http=None)
        if kind == "LongPolling":
            http = await polling(site)
            return cls(site, http.connection_id, socket=None, http=http)
        http, stream = await streaming(site)
        client = cls(site, http.connection_id, socket=None, http=http)
        client._stream = stream
        return client

    def stop_reading(self) -> None:
        for side in (self._socket, self._stream):
            if side is not None:
                side.may_send.clear()

    async def say(self, data: str) -> None:
        if self._http is not None:
            await self._http.post(data)
        else:
            assert self._socket is not None
            self._socket.say(data)
            await settle()

    @property
    def is_connected(self) -> bool:
        return self.connection_id in self.site.hub

    async def gone(self) -> None:
        if self._socket is not None:
            await self._socket.end()
        elif self._stream is not None:
            self._stream.hang_up()
            await self._stream.task
        else:
            assert self._http is not None
            await self._http.ask("DELETE").answer()
            await settle()


@contextmanager
def allocated() -> Iterator[list[int]]:
    """Bytes that are held at the end more than at the beginning, and the most there were meanwhile."""
    gc.collect()
    tracemalloc.start()
    found: list[int] = []
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield found
        gc.collect()
        now, peak = tracemalloc.get_traced_memory()
        found.extend((now - before, peak - before))
    finally:
        tracemalloc.stop()


@every_transport
async def test_an_idle_connection_costs_little(kind: str) -> None:
    """The test's own half of the connection included."""
    site = Site(close_s=0.0)
    warm = await Client.connect(site, kind)

    with allocated() as held:
        clients = [await Client.connect(site, kind) for _ in range(COUNT)]
        site.app.tick()
        await settle()

    assert held[0] / COUNT < 24 * KIB
    for client in (warm, *clients):
        await client.gone()


@every_transport
async def test_who_never_shakes_hands_is_gone_after_15_seconds(kind: str) -> None:
    """Check 23: and all that it cost."""
    site = Site(close_s=0.0)
    with allocated() as held:
        for _ in range(COUNT):
            await open_without_handshake(site, kind)
        site.clock.advance(15)
        site.app.tick()
        await settle()
        assert len(site.app._sessions) == 0
        await settle()

    assert held[0] / COUNT < 2 * KIB


async def open_without_handshake(site: Site, kind: str) -> None:
    if kind == "WebSockets":
        site.socket()
    elif kind == "ServerSentEvents":
        (await negotiated(site)).stream()
    else:
        await (await negotiated(site)).poll()
    await settle()


@every_transport
async def test_who_reads_nothing_holds_a_bound_and_then_only_its_end(kind: str) -> None:
    """Check 49."""
    site = Site(max_buffered_bytes=64 * KIB, close_s=0.0)
    reader = await Client.connect(site, "WebSockets")
    clients = [await Client.connect(site, kind) for _ in range(10)]
    for client in clients:
        client.stop_reading()
        site.hub.join("g", client.connection_id)

    with allocated() as held:
        for seq in range(300):
            site.hub.publish("g", [make_event(seq, filler="x" * KIB)])
            await asyncio.sleep(0)
        await settle()

    assert site.hub.slow_readers == len(clients)
    # Frames are shared: ten readers that stand still hold what one does.
    assert held[1] < 2 * 64 * KIB + 10 * 24 * KIB
    assert reader.is_connected
    await reader.gone()
    for client in clients:
        assert not client.is_connected
        await client.gone()


@every_transport
@pytest.mark.parametrize("piece", ["x" * KIB, '{"type":1,"target":"' + "y" * KIB, "\x00" * KIB])
async def test_who_sends_without_an_end_is_closed_at_32_kib(kind: str, piece: str) -> None:
    """Checks 33 and 35."""
    site = Site(close_s=60.0)
    client = await Client.connect(site, kind)

    with allocated() as held:
        for _ in range(200):
            await client.say(piece)
            if not client.is_connected:
                break

    assert not client.is_connected
    assert held[1] < 256 * KIB
    await client.gone()


async def test_a_handshake_without_an_end_is_closed_at_32_kib() -> None:
    """Checks 26 and 23."""
    site = Site(close_s=0.0)
    socket = site.socket()
    for _ in range(33):
        socket.say(" " * KIB)
    await socket.task

    assert socket.said() == ['{"error":"Handshake was canceled."}\x1e']


async def test_a_binary_message_that_is_announced_too_long_is_never_waited_for() -> None:
    """Checks 35 and 39."""
    site = Site(close_s=0.0)
    socket = site.socket()
    socket.say('{"protocol":"messagepack","version":1}\x1e')
    socket.say(with_length(b"x" * 40_000)[:3])
    await socket.task

    assert b"Connection closed with an error." in socket.sent[-2]["bytes"]


async def test_a_body_without_an_end_is_read_up_to_its_bound() -> None:
    """Check 35: no more than 64 KiB are taken from the server, whatever there is."""
    site = Site(close_s=0.0)
    client = await polling(site)
    post = client.ask("POST")
    post._incoming.get_nowait()
    chunk: dict[str, Any] = {"type": "http.request", "body": b"x" * 16 * KIB, "more_body": True}
    for _ in range(100):
        post._incoming.put_nowait(chunk)

    assert (await post.answer()).status == 413
    assert post._incoming.qsize() == 95
    await settle()
    assert len(site.hub) == 0


async def test_garbage_at_every_door_harms_nobody_else() -> None:
    """Checks 33 and 41."""
    site = Site(close_s=0.0)
    good = await Client.connect(site, "WebSockets")
    for garbage in ("\x1e", "\x1e" * KIB, "[" * 30_000 + "\x1e", '{"type":1}\x1e', "\ud800\x1e"):
        bad = await site.open()
        bad.say(garbage)
        await bad.task
        refused = site.socket()
        refused.say(garbage)
        await refused.task
    await good.say(HANDSHAKE.replace('"protocol"', '"type":6,"x"'))

    assert good.is_connected
    assert len(site.hub) == 1
    await good.gone()
