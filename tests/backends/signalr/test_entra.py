"""Microsoft Entra ID: whose credential, when a token is asked for, and what happens when there is none."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from azure import identity as azure

from streamsink.backends.signalr.connection_string import AppCertificate, AppSecret, DefaultIdentity, ManagedIdentity
from streamsink.backends.signalr.entra import EntraCredentials, token_source
from streamsink.backends.signalr.replies import ServiceError
from streamsink.core.errors import MissingExtraError, SettingsError
from streamsink.core.identity import User

from .support import HOST, Service, make_sink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_700_000_000.0
ENTRA = f"Endpoint={HOST};AuthType=azure.msi"


@dataclass
class Token:
    token: str
    expires_on: int


class Source:
    """A credential that counts; its tokens last for an hour."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.error: Exception | None = None
        self.threads: set[int] = set()
        self.now = NOW
        self.gate = threading.Event()
        self.gate.set()

    def get_token(self, *scopes: str) -> Token:
        self.asked.append(scopes)
        self.threads.add(threading.get_ident())
        self.gate.wait()
        if self.error is not None:
            raise self.error
        return Token(f"token {len(self.asked)}", int(self.now) + 3_600)

    def credentials(self) -> EntraCredentials:
        return EntraCredentials(self, clock=lambda: self.now)


async def test_a_token_is_kept_until_shortly_before_its_end() -> None:
    source = Source()
    credentials = source.credentials()

    assert await credentials.rest_token("x") == "token 1"
    source.now += 3_299
    assert await credentials.rest_token("y") == "token 1"
    source.now += 2
    assert await credentials.rest_token("x") == "token 2"
    assert source.asked == [("https://signalr.azure.com/.default",)] * 2
    assert threading.get_ident() not in source.threads  # azure-identity blocks


async def test_many_who_need_one_ask_once() -> None:
    source = Source()
    credentials = source.credentials()
    source.gate.clear()
    waiting = [asyncio.create_task(credentials.rest_token("x")) for _ in range(4)]
    for _ in range(10):
        await asyncio.sleep(0)
    source.gate.set()

    assert set(await asyncio.gather(*waiting)) == {"token 1"}
    assert len(source.asked) == 1


async def test_none_to_be_had_is_an_error_of_the_credentials_and_is_not_asked_for_again_at_once() -> None:
    source = Source()
    source.error = RuntimeError("secret details")
    credentials = source.credentials()

    for _ in range(3):
        with pytest.raises(ServiceError, match="Entra ID gave no token") as caught:
            await credentials.rest_token("x")
        assert "secret" not in str(caught.value)
    assert len(source.asked) == 1
    source.error, source.now = None, NOW + 6
    assert await credentials.rest_token("x") == "token 2"


async def test_a_refused_token_is_forgotten() -> None:
    source = Source()
    credentials = source.credentials()
    token = await credentials.rest_token("x")

    assert not credentials.refused(token)
    assert await credentials.rest_token("x") == "token 2"


async def test_clients_get_tokens_that_the_service_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    source, service = Source(), Service()
    monkeypatch.setattr("streamsink.backends.signalr.factory.token_source", lambda identity, variable: source)
    service.script(httpx.Response(200, json={"token": "made by the service"}))
    async with make_sink(ENTRA, transport=service.transport) as sink:
        info = await sink.connect_info(User(subject="ann"), "https://host.test")

    [request] = service.requests
    assert (info.url, info.access_token) == (f"{HOST}/client/?hub=chat", "made by the service")
    assert request.headers["authorization"] == "Bearer token 1"
    assert request.url.path == "/api/hubs/chat/:generateToken"
    assert dict(request.url.params)["userId"] == User(subject="ann").id
    assert dict(request.url.params)["minutesToExpire"] == "60"


@pytest.mark.parametrize(
    ("identity", "kind"),
    [
        (DefaultIdentity(), azure.DefaultAzureCredential),
        (ManagedIdentity(), azure.ManagedIdentityCredential),
        (ManagedIdentity("0-1"), azure.ManagedIdentityCredential),
        (ManagedIdentity(None, "/subscriptions/0-1"), azure.ManagedIdentityCredential),
        (DefaultIdentity("0-1"), azure.DefaultAzureCredential),
        (AppSecret("tenant", "client", "secret"), azure.ClientSecretCredential),
    ],
)
def test_each_kind_of_identity_is_azure_identitys_own(identity: Any, kind: type) -> None:
    assert isinstance(token_source(identity, "V"), kind)


def test_a_certificate_that_cannot_be_read_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("nonsense")
    for name in ("a.pem", "none.pem"):
        with pytest.raises(SettingsError, match="ClientCertPath"):
            token_source(AppCertificate("tenant", "client", str(tmp_path / name)), "V")


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure", None)
    with pytest.raises(MissingExtraError, match=r"streamsink\[entra\]"):
        token_source(DefaultIdentity(), "V")


class _AppService(BaseHTTPRequestHandler):
    """The managed identity endpoint of App Service and Functions."""

    def do_GET(self) -> None:
        assert self.headers["X-IDENTITY-HEADER"] == "proof"
        token = {"access_token": f"managed {self.path}", "expires_on": str(int(time.time()) + 3_600)}
        body = json.dumps({**token, "resource": "r", "token_type": "Bearer"}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def app_service(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _AppService) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{server.server_port}/msi")
        monkeypatch.setenv("IDENTITY_HEADER", "proof")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.service
@pytest.mark.usefixtures("app_service")
async def test_a_managed_identity_of_a_function_app_is_asked_for_the_services_scope() -> None:
    """The real azure-identity, against the endpoint that the platform gives to an app."""
    service = Service()
    async with make_sink(f"{ENTRA};ClientId=0-1-2", transport=service.transport) as sink:
        await sink.join("t", "c", user_id=None)

    [request] = service.requests
    token = request.headers["authorization"]
    assert token.startswith("Bearer managed /msi?")
    assert "resource=https://signalr.azure.com" in token
    assert "client_id=0-1-2" in token
