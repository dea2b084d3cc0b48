"""The floor: writes one shared frame to a group's sockets and does nothing else. No protocol, history or checks."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any

from bench.feed import FeedProtocol, Lag
from bench.gateways.common import run, say
from streamsink.backends.gateway.websocket_frames import TEXT, data_frame

if TYPE_CHECKING:
    from streamsink.core.events import Event

KEY = re.compile(rb"(?i)sec-websocket-key: *(\S+)")
GROUP = re.compile(rb"GET /(\S*)")
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

GROUPS: dict[str, list[asyncio.Transport]] = {}


class Echo(asyncio.Protocol):
    """One client, in the group that its path names."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        key = KEY.search(data)
        if key is None:
            return
        accept = base64.b64encode(hashlib.sha1(key[1] + MAGIC).digest())
        answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.transport.write(answer + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + data_frame(b"ready", TEXT))
        group = GROUP.search(data)[1].decode()  # type: ignore[index]
        members = GROUPS.setdefault(group, [])
        members.append(self.transport)
        self.joined(group, members)

    def joined(self, group: str, members: list[asyncio.Transport]) -> None:
        """For a floor that must ask for a group's messages."""

    def connection_lost(self, exc: Exception | None) -> None:
        for group in GROUPS.values():
            if self.transport in group:
                group.remove(self.transport)


def publish(group: str, events: list[Event]) -> None:
    frame = data_frame(events[0].json, TEXT)
    for transport in GROUPS.get(group, ()):
        transport.write(frame)


async def main() -> None:
    loop, lag = asyncio.get_running_loop(), Lag()

    async def stats() -> dict[str, Any]:
        return {"worst_ms": lag.take() * 1000}

    clients = await loop.create_server(Echo, "127.0.0.1", 0, backlog=4096)
    feed = await loop.create_server(lambda: FeedProtocol(publish, lambda *_: None, stats), "127.0.0.1", 0)
    say(port=clients.sockets[0].getsockname()[1], feed=feed.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(main())
