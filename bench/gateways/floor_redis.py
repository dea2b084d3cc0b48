"""The floor behind Redis: every message of a group's channel, as it is, in one shared frame. Argument: the Redis port.

It reads as our nodes do, a protocol on the socket and hiredis in C, and decodes nothing: its clients do.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import hiredis

from bench.feed import FeedProtocol, Lag
from bench.gateways import floor
from bench.gateways.common import run, say
from bench.store import channel
from streamsink.backends.gateway.websocket_frames import TEXT, data_frame


class Reader(asyncio.Protocol):
    """Channels, and who is to be told of a subscription."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._members: dict[bytes, list[asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def listen(self, group: str, members: list[asyncio.Transport]) -> None:
        name = channel(group)
        if name not in self._members:
            self._members[name] = members
            self._transport.write(hiredis.pack_command((b"SSUBSCRIBE", name)))

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if reply[0] == b"smessage":
                frame = data_frame(reply[2], TEXT)
                for transport in self._members[reply[1]]:
                    transport.write(frame)


async def main(port: int) -> None:
    loop, lag = asyncio.get_running_loop(), Lag()
    _, reader = await loop.create_connection(Reader, "127.0.0.1", port)

    class Echo(floor.Echo):
        def joined(self, group: str, members: list[asyncio.Transport]) -> None:
            if group:
                reader.listen(group, members)

    async def stats() -> dict[str, Any]:
        return {"worst_ms": lag.take() * 1000}

    clients = await loop.create_server(Echo, "127.0.0.1", 0, backlog=4096)
    nothing = lambda *_: None  # noqa: E731
    control = await loop.create_server(lambda: FeedProtocol(nothing, nothing, stats), "127.0.0.1", 0)
    say(port=clients.sockets[0].getsockname()[1], feed=control.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(main(int(sys.argv[1])))
