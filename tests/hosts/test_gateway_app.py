"""The client side alone, on Redis: agents publish elsewhere."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from streamsink.core.auth_settings import Auth
from streamsink.core.errors import SettingsError
from streamsink.core.identity import User
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings
from streamsink.hosts.gateway_app import ClientGateway
from streamsink.hosts.sockets import websocket_protocol
from streamsink.opening import open_sink
from streamsink.testing.serving import serving
from streamsink.testing.signalr import signalr_client
from streamsink.testing.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "a-service-key-of-more-than-thirty-two-characters"
ANN = User(subject="ann")
SECRET = SecretRing({"a": "a-secret-of-more-than-thirty-two-characters"})
REDIS = Settings(backend="redis", secret=SECRET)


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@pytest.mark.service
async def test_clients_see_what_is_published_elsewhere(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_REDIS_URL", valkey.url)
    app = ClientGateway(settings=REDIS)
    async with serving(app, lifespan=True, ws=websocket_protocol(app.sockets)) as url:
        environ = {"STREAM_REDIS_URL": valkey.url, "STREAM_GATEWAY_URL": url}
        async with (
            open_sink(REDIS, environ=environ) as host,
            signalr_client(await host.connect_info(ANN, "https://elsewhere.test")) as client,
        ):
            await host.join("t", client.connection_id, user_id=ANN.id)
            await host.publish("t", ["Hello"])
            [said] = await client.until(target="agentMessage")

            assert said.data["text"] == "Hello"

            await app.drain()
            await client.ended()
            assert client.closed == {"type": 7, "allowReconnect": True}


@pytest.mark.service
async def test_it_serves_nothing_else(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_REDIS_URL", valkey.url)
    async with serving(ClientGateway(settings=REDIS), lifespan=True) as url, httpx.AsyncClient(base_url=url) as http:
        assert (await http.get("/api/health")).json() == {"status": "ok"}
        assert (await http.get("/api/ready")).json() == {"status": "ready"}
        assert (await http.post("/client/negotiate?hub=streamsink")).status_code == 401
        for path in ("/", "/api/index", "/api/agent/negotiate", "/api/static/index.html"):
            assert (await http.get(path)).status_code == 404


@pytest.mark.service
async def test_its_metrics_are_for_service_keys(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_REDIS_URL", valkey.url)
    app = ClientGateway(settings=replace(REDIS, auth=Auth(service_keys=(KEY,))))
    async with serving(app, lifespan=True) as url, httpx.AsyncClient(base_url=url) as http:
        assert (await http.get("/api/metrics")).status_code == 401
        assert (await http.get("/api/metrics", headers={"x-stream-service-key": "k" * 40})).status_code == 401
        text = (await http.get("/api/metrics", headers={"x-stream-service-key": KEY})).text

    assert "\nstreamsink_connections 0.0\n" in text
    assert "\nstreamsink_slow_readers_total 0.0\n" in text
    assert "open_runs" not in text


@pytest.mark.parametrize(
    ("environ", "variable"),
    [({"STREAM_BACKEND": "memory"}, "STREAM_BACKEND"), ({"STREAM_BACKEND": "redis"}, "STREAM_SECRET")],
)
def test_what_it_needs_is_asked_for_first(
    environ: dict[str, str], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STREAM_SECRET", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=variable):
        ClientGateway()


def test_it_needs_no_agent_framework() -> None:
    code = "import sys; sys.modules['agent_framework'] = None; import streamsink.hosts.gateway_app"

    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
