"""A small SignalR client for checks and tests: JSON over WebSockets, and nothing that hides what the server does.

It does not reconnect, and does not order or deduplicate: what it received is what was sent.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamsink.core.delivery import ConnectInfo

__all__ = ["Received", "SignalRClient", "signalr_client"]

_END: Final = "\x1e"
_WAIT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Received:
    """One invocation with one argument."""

    target: str
    data: dict[str, Any]


@dataclass(slots=True)
class SignalRClient:
    """A connected client.

    Attributes:
        connection_id: what a join names.
        received: every event so far, as it came.
        closed: the server's Close message, once it has come.
    """

    connection_id: str
    socket: ClientConnection
    received: list[Any] = field(default_factory=list)
    closed: dict[str, Any] | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, count: int = 1, *, target: str | None = None, timeout_s: float = _WAIT_S) -> list[Received]:
        """The events so far, once ``count`` have come (with that target).

        Raises:
            TimeoutError: they did not come in time.
        """
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: len(self._matching(target)) >= count)
        return self._matching(target)

    def _matching(self, target: str | None) -> list[Received]:
        return [event for event in self.received if target is None or event.target == target]

    async def ended(self, *, timeout_s: float = _WAIT_S) -> None:
        """Return when the connection is over."""
        async with asyncio.timeout(timeout_s):
            await self.socket.wait_closed()

    async def _read(self) -> None:
        try:
            async for frame in self.socket:
                text = frame if isinstance(frame, str) else frame.decode()
                for message in text.split(_END)[:-1]:
                    await self._take(json.loads(message))
        except ConnectionClosed:
            return

    async def _take(self, message: dict[str, Any]) -> None:
        if message.get("type") == 1:
            self.received.append(Received(message["target"], message["arguments"][0]))
        elif message.get("type") == 6:
            await self.socket.send('{"type":6}' + _END)
        elif message.get("type") == 7:
            self.closed = message
        async with self._changed:
            self._changed.notify_all()


@asynccontextmanager
async def signalr_client(info: ConnectInfo) -> AsyncIterator[SignalRClient]:
    """Negotiate, connect and shake hands; closed on leaving.

    Raises:
        httpx.HTTPStatusError: negotiate was refused.
    """
    base, _, query = info.url.partition("?")
    headers = {"authorization": f"Bearer {info.access_token}"}
    async with httpx.AsyncClient(timeout=_WAIT_S) as http:
        url = f"{base.rstrip('/')}/negotiate?{query}&negotiateVersion=1"
        negotiated = (await http.post(url, headers=headers)).raise_for_status().json()
    address = f"{base.replace('http', 'ws', 1)}?{query}&id={negotiated['connectionToken']}"
    async with connect(address, additional_headers=headers, compression=None, open_timeout=_WAIT_S) as socket:
        await socket.send('{"protocol":"json","version":1}' + _END)
        greeting = await asyncio.wait_for(socket.recv(decode=True), _WAIT_S)
        if greeting != "{}" + _END:
            raise ConnectionError(f"the server refused the handshake: {greeting!r}")
        client = SignalRClient(negotiated["connectionId"], socket)
        reading = asyncio.create_task(client._read(), name="streamsink signalr client")  # noqa: SLF001  its owner
        try:
            yield client
        finally:
            await socket.close()
            await reading
