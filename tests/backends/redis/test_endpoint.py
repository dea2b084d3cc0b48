"""Where a server listens, and how to be let in; TLS with a real handshake."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from streamsink.backends.redis.endpoint import Endpoint
from streamsink.backends.redis.servers import servers_of
from streamsink.backends.redis.subscriber import Subscriber
from streamsink.core.errors import SettingsError, UnavailableError

from .certificates import make_certificate
from .scripted_server import Ear, answering, usual

if TYPE_CHECKING:
    from pathlib import Path

UNTRUSTED = r"TLS with Redis failed \(CERTIFICATE_VERIFY_FAILED\)"


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("redis://", Endpoint(host="localhost", port=6379)),
        ("redis://:p%40ss@cache:7000/3", Endpoint(host="cache", port=7000, password="p@ss")),
        ("redis://reader:pw@cache?max_connections=3", Endpoint(host="cache", username="reader", password="pw")),
        ("unix:///run/redis.sock?db=1&password=pw", Endpoint(path="/run/redis.sock", password="pw")),
    ],
)
def test_urls_mean_what_they_mean_to_the_client(url: str, endpoint: Endpoint) -> None:
    assert Endpoint.from_url(url) == endpoint


def test_tls_checks_certificates_and_names_unless_told_otherwise() -> None:
    usual_context = Endpoint.from_url("rediss://cache").tls
    lax = Endpoint.from_url("rediss://cache?ssl_cert_reqs=none").tls
    nameless = Endpoint.from_url("rediss://cache?ssl_check_hostname=no").tls

    assert usual_context is not None
    assert lax is not None
    assert nameless is not None
    assert (usual_context.verify_mode, usual_context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (lax.verify_mode, lax.check_hostname) == (ssl.CERT_NONE, False)
    assert (nameless.verify_mode, nameless.check_hostname) == (ssl.CERT_REQUIRED, False)


@pytest.mark.parametrize(
    "url",
    [
        "http://cache",
        "redis://cache:port",
        "rediss://:secret@cache?ssl_ca_certs=/nowhere/ca.pem",
        "rediss://:secret@cache?ssl_cert_reqs=perhaps",
        "rediss://:secret@cache?ssl_nonsense=1",
    ],
)
def test_what_cannot_be_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(SettingsError, match="STREAM_REDIS_URL") as caught:
        Endpoint.from_url(url)

    assert "secret" not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(Endpoint.from_url("rediss://user:secret@cache"))


@pytest.mark.service
async def test_tls(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "server.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with answering(usual, context) as server:

        async def trusted() -> Endpoint:
            return Endpoint.from_url(f"rediss://localhost:{server.port}?ssl_ca_certs={certificate}")

        async def foreign() -> Endpoint:
            return Endpoint.from_url(f"rediss://localhost:{server.port}")

        subscriber = Subscriber(trusted)
        await subscriber.listen(b"c", Ear())
        await subscriber.aclose()
        subscriber = Subscriber(foreign)
        with pytest.raises(UnavailableError, match=UNTRUSTED):
            await subscriber.check()
        await subscriber.aclose()


@pytest.mark.service
@pytest.mark.parametrize("scheme", ["rediss", "rediss+cluster"])
async def test_a_store_says_that_tls_failed(scheme: str, tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(make_certificate(tmp_path / "server.pem"))
    async with answering(usual, context) as server:
        store = servers_of(f"{scheme}://localhost:{server.port}", timeout_s=2).store()
        with pytest.raises(UnavailableError, match=UNTRUSTED):
            await store.check(b"ready")
        await store.aclose()
