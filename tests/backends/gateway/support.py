"""What the gateway's tests share: a clock to turn, transports that record, a small ASGI server side."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from streamsink.backends.gateway.admission import Admission
from streamsink.backends.gateway.app import GatewayApp
from streamsink.backends.gateway.connection_tokens import InProcessConnectionTokens
from streamsink.backends.gateway.hub import Hub
from streamsink.backends.gateway.tokens import AccessTokens
from streamsink.backends.gateway.transport import Transport
from streamsink.core.events import Event, Record

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from streamsink.backends.gateway.frame import Frame

KEY = b"k" * 32
OTHER_KEY = b"o" * 32
BASE = "http://gateway.test"
HUB = "chat"
HANDSHAKE = '{"protocol":"json","version":1}\x1e'
EXTENSIONS: dict[str, Any] = {"websocket.http.response": {}}


class ManualClock:
    """A clock that stands still until it is turned."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class RecordingTransport(Transport):
    """Keeps what it is given, unless it is behind."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.is_behind = False
        self.closed: list[tuple[str | None, bool, bool]] = []

    def write(self, frame: Frame) -> bool:
        if not self.is_behind:
            self.frames.append(frame)
        return not self.is_behind

    def close(self, error: str | None = None, *, allow_reconnect: bool = False, discard: bool = False) -> None:
        self.closed.append((error, allow_reconnect, discard))


def at_once(call: Callable[[], None]) -> None:
    """A hub's loop turn that is over as soon as something is published."""
    call()


def make_event(seq: int = 1, target: str = "agentMessage", **fields: Any) -> Event:
    return Record(target, json.dumps({"text": "hi", **fields}).encode()).at("1700", seq)


def make_ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"id{next(numbers)}"


@dataclass
class Answer:
    """An HTTP answer, or the refusal of a WebSocket upgrade."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Site:
    """A gateway with one hub, and ways to call it."""

    def __init__(self, **options: Any) -> None:
        self.clock = ManualClock()
        self.hub = Hub(defer=at_once)
        self.tokens = AccessTokens([KEY, OTHER_KEY], clock=self.clock, base_urls=options.pop("base_urls", ()))
        self.connections = InProcessConnectionTokens(clock=self.clock, make_id=make_ids())
        self.admission = Admission(
            lambda name: self.hub if name == HUB else None,
            access_tokens=self.tokens,
            allow_origin=lambda origin, headers: origin == "https://page.test" and "host" in headers,
        )
        self.turns: asyncio.Queue[None] = asyncio.Queue()
        self.app = GatewayApp(
            self.admission,
            connection_tokens=self.connections,
            clock=self.clock,
            sleep=lambda _: self.turns.get(),
            **options,
        )

    def token(self, user_id: str = "ann") -> str:
        return self.tokens.mint(user_id, base_url=BASE, hub=HUB)

    def scope(self, kind: str, path: str, query: str, headers: dict[str, str], **more: Any) -> dict[str, Any]:
        if not any(name in headers for name in ("authorization", "no-token")):
            headers = {"authorization": f"Bearer {self.token()}", **headers}
        raw = [(name.encode(), value.encode()) for name, value in {"host": "gateway.test", **headers}.items()]
        return {"type": kind, "path": path, "query_string": query.encode(), "headers": raw, **more}

    async def http(
        self, method: str, path: str, query: str = f"hub={HUB}", root_path: str = "", **headers: str
    ) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        scope = self.scope("http", path, query, named, method=method, root_path=root_path)
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            raise AssertionError("the body is not read")

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return _answer(sent)

    def socket(
        self,
        query: str = f"hub={HUB}",
        path: str = "/client",
        *,
        extensions: dict[str, Any] | None = EXTENSIONS,
        headers: dict[str, str] | None = None,
    ) -> Socket:
        named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        return Socket(self.app, self.scope("websocket", path, query, named, extensions=extensions))

    async def open(self, query: str = f"hub={HUB}", **headers: str) -> Socket:
        """A connection whose handshake is over."""
        socket = self.socket(query, headers=headers)
        socket.say(HANDSHAKE)
        await settle()
        assert socket.said() == ["{}\x1e"]
        return socket


def _answer(sent: list[MutableMapping[str, Any]]) -> Answer:
    start, body = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], headers, body["body"])


class Socket:
    """The server's end of one ASGI WebSocket; the client's words are put in, the application's come out."""

    def __init__(self, app: GatewayApp, scope: dict[str, Any]) -> None:
        self.sent: list[MutableMapping[str, Any]] = []
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.failure: Exception | None = None
        self._incoming: asyncio.Queue[MutableMapping[str, Any] | Exception] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> MutableMapping[str, Any]:
        message = await self._incoming.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        await self.may_send.wait()
        if self.failure is not None:
            raise self.failure
        self.sent.append(message)

    def say(self, data: str | bytes) -> None:
        kind = "text" if isinstance(data, str) else "bytes"
        self._incoming.put_nowait({"type": "websocket.receive", kind: data})

    def break_down(self, failure: Exception) -> None:
        self._incoming.put_nowait(failure)

    def hang_up(self) -> None:
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1005})

    def said(self) -> list[str]:
        return [message["text"] for message in self.sent if message["type"] == "websocket.send"]

    @property
    def is_closed(self) -> bool:
        return bool(self.sent[-1]["type"] == "websocket.close")

    async def refused(self) -> Answer:
        await self.task
        return _answer(self.sent)

    async def end(self) -> None:
        self.hang_up()
        await self.task


async def settle() -> None:
    """Let everything that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)
