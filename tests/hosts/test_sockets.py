"""How a connection is given away after its upgrade request."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from streamsink.core.delivery import ServesSockets
from streamsink.hosts.sockets import websocket_protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Recorder(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self, on_lost: Callable[[asyncio.Protocol], None]) -> None:
        self.told: list[Any] = []
        self._on_lost = on_lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.told.append(data)

    def eof_received(self) -> None:
        self.told.append("eof")

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")
        self._on_lost(self)


class Takes(ServesSockets):
    """Takes one path."""

    def takes_socket(self, path: str) -> bool:
        return path == "/client/"

    def socket_protocol(self, on_lost: Callable[[asyncio.Protocol], None]) -> Recorder:
        return Recorder(on_lost)


class HttpProtocol(asyncio.Protocol):
    """What has read the request."""

    lost: Exception | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc


class Wire(asyncio.Transport):
    """A transport that knows its protocol, and nothing of the network."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.BaseProtocol = HttpProtocol()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.written = data

    def close(self) -> None:
        self.closed = True


def upgraded(path: str, takes: ServesSockets | None) -> tuple[asyncio.Protocol, Wire, ServerState]:
    config = uvicorn.Config(_app, log_config=None, ws_per_message_deflate=False)
    config.load()
    wire, state = Wire(), ServerState()
    make: Any = websocket_protocol(lambda: takes)
    protocol: asyncio.Protocol = make(config=config, server_state=state, app_state={})
    protocol.connection_made(wire)
    protocol.data_received(b"GET %b HTTP/1.1\r\nHost: here.test\r\n\r\n" % path.encode())
    wire.set_protocol(protocol)  # as uvicorn does
    return protocol, wire, state


async def _app(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("it is not called")


async def test_the_successor_has_it_all_from_the_next_turn_on() -> None:
    _, wire, state = upgraded("/cl%69ent/?hub=chat", Takes())

    await asyncio.sleep(0)

    assert isinstance(wire.protocol, Recorder)
    assert wire.protocol.told == ["made", b"GET /cl%69ent/?hub=chat HTTP/1.1\r\nHost: here.test\r\n\r\n"]
    assert list[Any](state.connections) == [wire.protocol]


async def test_the_predecessor_hears_that_the_connection_is_not_its_own_any_more() -> None:
    front, wire, _ = upgraded("/client/", Takes())
    predecessor = front._predecessor  # type: ignore[attr-defined]

    await asyncio.sleep(0)

    assert isinstance(predecessor.lost, ConnectionError)  # without an error it would close the transport
    assert wire.protocol is not predecessor


async def test_uvicorns_http_protocol_leaves_no_garbage() -> None:
    config = uvicorn.Config(_app, ws=websocket_protocol(Takes), log_config=None, ws_per_message_deflate=False)
    config.load()
    wire: Any = Wire()
    make: Any = config.http_protocol_class
    wire.protocol = make(config=config, server_state=ServerState(), app_state={})
    wire.protocol.connection_made(wire)
    before = weakref.ref(wire.protocol)
    gc.disable()
    try:
        wire.protocol.data_received(
            b"GET /client/ HTTP/1.1\r\nHost: here.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        await asyncio.sleep(0)
        assert before() is None
    finally:
        gc.enable()
    assert isinstance(wire.protocol, Recorder)
    assert not hasattr(wire, "closed")


async def test_what_happens_before_that_is_passed_on() -> None:
    front, wire, state = upgraded("/client/", Takes())
    front.data_received(b"more")
    front.pause_writing()
    front.resume_writing()
    front.eof_received()
    front.connection_lost(None)
    await asyncio.sleep(0)

    assert isinstance(wire.protocol, Recorder)
    assert wire.protocol.told[2:] == [b"more", "pause", "resume", "eof", "lost"]
    assert not state.connections


@pytest.mark.parametrize(("path", "takes"), [("/client/other", Takes()), ("/", Takes()), ("/client/", None)])
async def test_other_websockets_stay_with_the_server(path: str, takes: ServesSockets | None) -> None:
    _, wire, state = upgraded(path, takes)

    await asyncio.sleep(0)

    assert isinstance(wire.protocol, WebSocketsSansIOProtocol)
    assert set(state.connections) == {wire.protocol}
    assert b"400 Bad Request" in wire.written or b"426" in wire.written  # it was no handshake
