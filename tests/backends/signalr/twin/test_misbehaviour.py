"""Faults as callers and clients meet them, and check 69."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from streamsink.backends.gateway.json_protocol import JSON
from streamsink.backends.signalr.twin import Faults, Twin, twin
from streamsink.backends.signalr.twin.server import break_connection
from streamsink.backends.signalr.twin.server import serving as serving_twin
from streamsink.core.delivery import ConnectInfo
from streamsink.testing.serving import serving
from streamsink.testing.signalr import signalr_client
from tests.backends.gateway.clients import node, running

from .support import ManualClock, Nowhere, Rest, World, said, world


async def negotiate(site: World, **headers: str) -> httpx.Response:
    info = site.twin.connect_info("chat")
    async with httpx.AsyncClient() as http:
        url = f"{site.twin.url}/client/negotiate?hub=chat&negotiateVersion=1"
        return await http.post(url, headers={"authorization": f"Bearer {info.access_token}", **headers})


@pytest.mark.parametrize(("seconds", "header"), [(None, None), (7, "7")])
async def test_throttled_with_and_without_a_hint(site: World, seconds: int | None, header: str | None) -> None:
    client = await site.client()
    fault = site.twin.faults.inject("send", status=429, retry_after_s=seconds, count=1)

    throttled, accepted = await site.rest.send("", {"n": 1}), await site.rest.send("", {"n": 2})

    assert (throttled.status_code, throttled.headers.get("retry-after")) == (429, header)
    assert throttled.json()["code"] == "429"
    assert "x-ms-error-code" not in throttled.headers
    assert accepted.status_code == 202
    await client.until(1)
    assert said(client) == [{"n": 2}]
    assert site.twin.faults.happened[fault] == 1


@pytest.mark.parametrize(("after", "received"), [(False, [{"n": 2}]), (True, [{"n": 1}, {"n": 2}])])
async def test_a_server_error_before_or_after_delivery(site: World, after: bool, received: list[Any]) -> None:
    client = await site.client()
    site.twin.faults.inject("send", status=503, after=after, count=1)

    failed = await site.rest.send("", {"n": 1})
    await site.rest.send("", {"n": 2})
    await client.until(len(received))

    assert (failed.status_code, said(client)) == (503, received)


@pytest.mark.parametrize(("after", "received"), [(False, [{"n": 2}]), (True, [{"n": 1}, {"n": 2}])])
async def test_a_connection_that_breaks_before_or_after_delivery(site: World, after: bool, received: list[Any]) -> None:
    client = await site.client()
    site.twin.faults.inject("send", drop=True, after=after, count=1)

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await site.rest.send("", {"n": 1})
    await site.rest.send("", {"n": 2})
    await client.until(len(received))

    assert said(client) == received


async def test_a_refused_call_draws_no_fault(site: World) -> None:
    """A fault with a count meets a call that would have succeeded."""
    fault = site.twin.faults.inject("*", status=500, count=1)

    assert (await site.rest.ask("POST", "/api/hubs/chat/:send", token="")).status_code == 401
    assert (await site.rest.chat("POST", ":send")).status_code == 415
    assert site.twin.faults.happened[fault] == 0
    assert (await site.rest.ask("HEAD", "/api/v1/hubs/chat/users/u", None)).status_code == 500


async def test_a_delay_comes_first() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    faults = Faults(sleep=sleep)
    faults.inject("exists", delay_s=3)
    faults.inject("*", delay_s=0.5, status=500)
    faults.inject("negotiate", delay_s=9)
    async with world(faults=faults) as site:
        assert (await site.rest.chat("HEAD", "users/u")).status_code == 500
        assert (await negotiate(site)).status_code == 200

    assert waited == [3.5, 9]


async def test_duplicates(site: World) -> None:
    client = await site.client()
    site.twin.faults.inject("send", duplicate=True, count=1)

    await site.rest.send("", {"n": 1})
    await site.rest.send("", {"n": 2})
    await client.until(3)

    assert said(client) == [{"n": 1}, {"n": 1}, {"n": 2}]


async def test_a_send_is_overtaken_by_the_next_one_of_its_group() -> None:
    never = asyncio.Event()
    faults = Faults(sleep=lambda _: never.wait())
    faults.inject("send", reorder=True, count=1)
    async with world(faults=faults) as site:
        client = await site.client("u", "chat", "a", "b")
        held = await site.rest.send("groups/a/", {"n": 1})
        await site.rest.send("groups/b/", {"n": 2})
        await client.until(1)
        await site.rest.send("groups/a/", {"n": 3})
        await client.until(3)

        assert held.status_code == 202
        assert said(client) == [{"n": 2}, {"n": 3}, {"n": 1}]
        await site.clients.aclose()


async def test_clients_are_cut_without_a_word(site: World) -> None:
    clients = [await site.client() for _ in range(4)]

    site.twin.hub("quiet").connect("c", None, protocol=JSON, transport=Nowhere())  # cannot be cut, and does no harm
    site.twin.hub("quiet").sever("c")

    assert site.twin.hub("quiet").close("c")
    assert site.twin.faults.cut_clients(1) == 1
    assert len(site.twin.hub("chat")) == 3
    assert site.twin.faults.cut_clients(99) == 3
    assert site.twin.faults.cut_clients() == 0

    for client in clients:
        await client.ended()
        assert (client.closed, client.socket.close_code) == (None, 1006)


async def test_tokens_expire_on_command() -> None:
    """Those of callers and of clients; an open WebSocket goes on."""
    clock = ManualClock(time.time() // 1)
    async with world(clock=clock) as site:
        client = await site.client()
        old = {"iat": clock.now, "exp": clock.now + 3600}
        assert (await site.rest.chat("HEAD", "users/u", claims=old)).status_code == 404

        site.twin.faults.expire_tokens()

        for claims in (old, {"exp": clock.now + 3600}, {"iat": "x", "exp": clock.now + 60}):
            answer = await site.rest.chat("HEAD", "users/u", claims=claims)
            assert answer.status_code == 401
            assert "The token expired" in answer.headers["www-authenticate"]
        assert (await negotiate(site)).status_code == 401
        clock.now += 1
        assert (await negotiate(site)).status_code == 200
        new = {"iat": clock.now, "exp": clock.now + 60}
        body = {"target": "m", "arguments": [{}]}
        assert (await site.rest.chat("POST", ":send", claims=new, json=body)).status_code == 202
        await client.until(1)
        await site.clients.aclose()


async def test_negotiate_is_refused(site: World) -> None:
    """Readable by the page that asked."""
    site.twin.faults.refuse_negotiate(429, retry_after_s=2, count=1)

    refused = await negotiate(site, origin="https://page.test")

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
    assert refused.headers["access-control-allow-origin"] == "https://page.test"
    assert (await negotiate(site, origin="https://page.test")).status_code == 200
    site.twin.faults.inject("negotiate", drop=True)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await negotiate(site)


class App:
    """An application whose negotiate sends its clients to the service, as long as that runs."""

    def __init__(self) -> None:
        self.service: Twin | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json")]
        if self.service is None:
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        info = self.service.connect_info("chat", "u")
        body = f'{{"url":"{info.url}","accessToken":"{info.access_token}"}}'.encode()
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.mark.service
async def test_check_69_clients_come_back_after_a_restart() -> None:
    """The official client with automatic reconnect, on the same port and connection string."""
    app, keys = App(), ["k" * 40]
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient())
        url = await stack.enter_async_context(serving(app))
        async with twin(keys=keys) as service:
            app.service, before = service, service.connection_string
            official = await stack.enter_async_context(running(*node(f"{url}/hub", "reconnect")))
            first = await official.expect("started")
        app.service = None
        await official.expect("reconnecting")

        async with twin(keys=keys, port=int(service.url.rpartition(":")[2])) as app.service:
            assert app.service.connection_string == before
            again = await official.expect("reconnected")
            assert again["id"] != first["id"]
            await Rest(before, http).send(f"connections/{again['id']}/", {"n": 1})
            assert (await official.expect("message"))["data"] == {"n": 1}


async def test_check_69_no_success_while_nothing_can_be_delivered(site: World) -> None:
    client = await site.client()
    site.twin.drain()

    answers = [await site.rest.send(""), await site.rest.ask("POST", "/api/v1/hubs/chat", json={"target": "m"})]

    await client.ended()
    assert client.closed == {"type": 7, "allowReconnect": True}
    for answer in answers:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    with pytest.raises(httpx.HTTPStatusError, match="503"):
        async with signalr_client(site.twin.connect_info("chat")):
            raise AssertionError("it was let in")
    async with httpx.AsyncClient() as http:
        health = await http.head(f"{site.twin.url}/api/health?api-version=2024-12-01")
    assert health.status_code == 503


async def test_a_held_send_is_forgotten_at_the_end() -> None:
    faults = Faults()
    faults.inject("send", reorder=True)
    async with world(faults=faults, clock=time.time) as site:
        assert (await site.rest.send("")).status_code == 202


async def test_any_server_may_serve_the_application() -> None:
    """Its WebSockets then go through ASGI; only connections cannot be broken."""
    service = Twin("http://127.0.0.1", ["k" * 40])
    assert service.connection_string == f"Endpoint=http://127.0.0.1;AccessKey={'k' * 40};Version=1.0;"
    async with serving(service) as url, httpx.AsyncClient() as http:
        info = service.connect_info("chat", "u")
        connection = ConnectInfo(info.url.replace("http://127.0.0.1", url), info.access_token)
        async with signalr_client(connection) as client:
            rest = Rest(service.connection_string + f"Port={url.rpartition(':')[2]}", http)
            assert (await rest.send("users/u/", {"n": 1})).status_code == 202
            await client.until(1)
        await service.aclose()

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    with pytest.raises(RuntimeError, match="only under the twin's own server"):
        await break_connection({"type": "http"}, receive)


async def test_a_server_that_cannot_start_says_why() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.close()
    service = Twin("http://127.0.0.1", ["k" * 40])

    with pytest.raises((OSError, ValueError)):
        async with serving_twin(service, listener, service.socket_protocol):
            raise AssertionError("it started")
