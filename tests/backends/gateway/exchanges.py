"""The server's end of ASGI requests, and clients on the transports that are made of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .support import HANDSHAKE, HUB, Answer, Site, settle

if TYPE_CHECKING:
    from collections.abc import MutableMapping

EVENT_STREAM = "text/event-stream"


class Exchange:
    """One request; what the application answers comes out as it comes."""

    def __init__(
        self, site: Site, method: str, query: str, *, path: str = "/client/", body: bytes = b"", **headers: str
    ) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        scope = site.scope("http", path, query, named, method=method)
        self.sent: list[MutableMapping[str, Any]] = []
        self.may_send = asyncio.Event()
        self.may_send.set()
        self._incoming: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._incoming.put_nowait({"type": "http.request", "body": body})
        self.task = asyncio.create_task(site.app(scope, self._incoming.get, self._send))

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        await self.may_send.wait()
        self.sent.append(message)

    def hang_up(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def is_complete(self) -> bool:
        return len(self.sent) > 1 and not self.sent[-1].get("more_body", False)

    async def answer(self) -> Answer:
        """The whole answer, once it is there."""
        await self.task
        assert self.is_complete
        return Answer(self.status, self.headers, self.body)


class HttpClient:
    """A negotiated connection on a transport made of requests."""

    def __init__(self, site: Site, token: str, connection_id: str) -> None:
        self.site = site
        self.query = f"hub={HUB}&id={token}"
        self.connection_id = connection_id

    def ask(self, method: str, **options: Any) -> Exchange:
        return Exchange(self.site, method, self.query, **options)

    async def post(self, data: str | bytes, **headers: str) -> Answer:
        body = data.encode() if isinstance(data, str) else data
        return await self.ask("POST", body=body, **headers).answer()

    async def poll(self, **headers: str) -> Answer:
        return await self.ask("GET", **headers).answer()

    def stream(self, **headers: str) -> Exchange:
        return self.ask("GET", accept=EVENT_STREAM, **headers)


async def negotiated(site: Site) -> HttpClient:
    """A client that has not chosen its transport yet."""
    reply = (await site.http("POST", "/client/negotiate", f"hub={HUB}&negotiateVersion=1")).json()
    return HttpClient(site, reply["connectionToken"], reply["connectionId"])


async def polling(site: Site, handshake: str = HANDSHAKE) -> HttpClient:
    """A client that polls, after its handshake."""
    client = await negotiated(site)
    assert (await client.poll()).body == b""
    assert (await client.post(handshake)).status == 200
    assert (await client.poll()).body == b"{}\x1e"
    return client


async def streaming(site: Site) -> tuple[HttpClient, Exchange]:
    """A client with an event stream, after its handshake."""
    client = await negotiated(site)
    stream = client.stream()
    await settle()
    assert (await client.post(HANDSHAKE)).status == 200
    await settle()
    assert stream.body == b":\r\ndata: {}\x1e\r\n\r\n"
    return client, stream
