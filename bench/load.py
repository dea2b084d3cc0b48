"""The load generator: many clients in one process, which check every event. Commands come as JSON lines."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import sys
import time
from typing import Any

from bench import clients, feed
from bench.commands import obey
from bench.shared import Counter

UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)


class Tally:
    """What all clients have seen."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.delivered = self.lost = self.doubled = self.reordered = self.closed = 0
        self.latencies: list[int] | None = None


class Client(asyncio.Protocol):
    """One connection; it is ready when its greeting is over."""

    def __init__(self, greeting: clients.Greeting, request: bytes, tally: Tally) -> None:
        self._steps = [(b"\r\n\r\n", ""), *greeting.steps]
        self._event = greeting.event
        self._request = request
        self._tally = tally
        self._tail = b""
        self._next = 1
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        transport.write(self._request)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.closed += 1
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"refused: {self._tail[:300]!r}"))

    def data_received(self, data: bytes) -> None:
        data = self._tail + data
        if self._steps:
            self._tail = data
            self._greet()
            return
        count, end = 0, 0
        for match in self._event.finditer(data):
            end = match.end()
            count += 1
            self._check(int(match["seq"]))
            if self._tally.latencies is not None:
                self._tally.latencies.append(time.monotonic_ns() - int(match["t"]))
        self._tail = data[end:] if end or len(data) < 4096 else data[-64:]
        self._tally.delivered += count
        self._tally.counter.set(self._tally.delivered)

    def _check(self, seq: int) -> None:
        if seq == self._next:
            self._next += 1
        elif seq > self._next:
            self._tally.lost += seq - self._next
            self._next = seq + 1
        else:
            self._tally.reordered += 1

    def _greet(self) -> None:
        while self._steps:
            awaited, said = self._steps[0]
            place = self._tail.find(awaited)
            if place < 0:
                return
            if awaited == b"\r\n\r\n" and not self._tail.startswith(b"HTTP/1.1 101"):
                self.ready.set_exception(ConnectionError(f"refused: {self._tail[:300]!r}"))
                self._steps.clear()
                return
            self._tail = self._tail[place + len(awaited) :]
            self._steps.pop(0)
            if said:
                self.transport.write(_masked(said.encode()))
        if not self.ready.done():
            self.ready.set_result(None)


def _masked(payload: bytes) -> bytes:
    assert len(payload) < 126
    return bytes((0x81, 0x80 | len(payload))) + b"\0\0\0\0" + payload  # masked with zeroes


class Load:
    """The clients, and the commands of the bench."""

    def __init__(self, counter: str) -> None:
        self.tally = Tally(Counter(counter))
        self._clients: list[Client] = []

    async def connect(
        self, port: int, kind: str, groups: list[str], members: int, auth: str = "", feed_port: int = 0, idle: int = 0
    ) -> dict[str, Any]:
        """Connect ``members`` clients to each group, or ``idle`` ones to none."""
        wanted = [group for group in groups for _ in range(members)] or [""] * idle
        ids = [("", "")] * len(wanted)
        if kind == "signalr" and groups:
            ids = await asyncio.to_thread(_negotiate, port, auth, len(wanted))
        began = time.monotonic()
        for start in range(0, len(wanted), 200):
            fresh = [
                self._one(port, kind, group, auth, token)
                for group, (_, token) in zip(wanted[start : start + 200], ids[start : start + 200], strict=True)
            ]
            await asyncio.gather(*fresh)
        if kind == "signalr" and groups:
            members = [connection_id for connection_id, _ in ids]
            await asyncio.to_thread(_join, feed_port, list(zip(wanted, members, strict=True)))
        return {"seconds": time.monotonic() - began}

    async def _one(self, port: int, kind: str, group: str, auth: str, token: str) -> None:
        query = f"hub=streamsink&id={token}" if token else "hub=streamsink"
        greeting = getattr(clients, kind)(group, query)
        more = f"Authorization: Bearer {auth}\r\n" if auth else ""
        request = UPGRADE.format(path=greeting.path, port=port, more=more).encode()
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: Client(greeting, request, self.tally), "127.0.0.1", port)
        self._clients.append(client)
        await asyncio.wait_for(client.ready, 20)

    async def disconnect(self) -> dict[str, Any]:
        for client in self._clients:
            client.transport.abort()
        self._clients.clear()
        await asyncio.sleep(0.2)
        self.tally.closed = 0
        return {}

    async def result(self, expected: int, timeout_s: float, latencies: bool = False) -> dict[str, Any]:
        """Wait for so many events in all, since the start; then say what was seen."""
        end = time.monotonic() + timeout_s
        while self.tally.delivered < expected and time.monotonic() < end:  # noqa: ASYNC110  a wake-up per event would cost
            await asyncio.sleep(0.002)
        found, self.tally.latencies = self.tally.latencies, [] if latencies else None
        tally = self.tally
        return {
            "delivered": tally.delivered,
            "lost": max(tally.lost, expected - tally.delivered),
            "doubled": max(0, tally.delivered - expected),
            "reordered": tally.reordered,
            "closed": tally.closed,
            "latencies": sorted(found)[:: max(1, len(found) // 2000)] if found else [],
            "at": time.monotonic(),
        }

    async def reset(self) -> dict[str, Any]:
        self.tally = Tally(self.tally.counter)
        self.tally.counter.set(0)
        return {}


def _negotiate(port: int, auth: str, count: int) -> list[tuple[str, str]]:
    """Real negotiations over one connection: ids, and the tokens that connect."""
    import http.client

    ids = []
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(count):
        headers = {"Authorization": f"Bearer {auth}", "Content-Length": "0"}
        connection.request("POST", "/client/negotiate?hub=streamsink&negotiateVersion=1", headers=headers)
        reply = json.loads(connection.getresponse().read())
        ids.append((reply["connectionId"], reply["connectionToken"]))
    connection.close()
    return ids


def _join(port: int, pairs: list[tuple[str, str]]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for group, connection_id in pairs:
            connection.sendall(feed.record(feed.JOIN, group, member=connection_id))
        connection.sendall(feed.record(feed.STATS))
        connection.recv(65_536)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    obey(lambda: Load(sys.argv[1]))
