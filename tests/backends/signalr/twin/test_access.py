"""Who may call, who may connect: checks 15 to 17, 20, 21 and 64, against tokens that are signed by hand."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from streamsink.backends.signalr.twin import Twin
from streamsink.core.delivery import ConnectInfo
from streamsink.core.errors import SettingsError
from streamsink.testing.signalr import signalr_client

from .support import ManualClock, Rest, World, encoded, sign, world

if TYPE_CHECKING:
    import httpx as _httpx

PATH = "/api/hubs/chat/groups/a%2Fb"
SECRET = "s" * 40


def claims_of(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


async def refused(answer: _httpx.Response, why: str) -> None:
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["www-authenticate"] == f'Bearer error="invalid_token", error_description="{why}"'


async def test_check_15_no_token(site: World) -> None:
    answer = await site.rest.ask("HEAD", PATH, token="")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "RS256"}, {"alg": "HS512"}])
async def test_check_15_other_algorithms(site: World, header: dict[str, str]) -> None:
    token = sign(site.rest.key, {"aud": site.rest.origin + PATH, "exp": time.time() + 60}, **header)

    await refused(await site.rest.ask("HEAD", PATH, token=token), "The signature is invalid")


@pytest.mark.parametrize("token", ["x", "a.b.c", "é".encode().decode("latin-1")])
async def test_check_15_garbage(site: World, token: str) -> None:
    answer = await site.rest.ask("HEAD", PATH, headers={"authorization": f"Bearer {token}".encode("latin-1")})

    assert answer.status_code == 401


async def test_check_15_another_key(site: World) -> None:
    token = sign(SECRET, {"aud": site.rest.origin + PATH, "exp": time.time() + 60})

    await refused(await site.rest.ask("HEAD", PATH, token=token), "The signature is invalid")


async def test_check_16_times() -> None:
    """To the second: no difference between clocks is allowed for."""
    clock = ManualClock()
    async with world(clock=clock) as site:
        ask = site.rest.ask
        assert (await ask("HEAD", PATH, claims={"exp": clock.now + 1})).status_code == 404
        await refused(await ask("HEAD", PATH, claims={"exp": clock.now}), "The token expired")
        await refused(await ask("HEAD", PATH, claims={"exp": None}), "The token expired")
        later = {"exp": clock.now + 60, "nbf": clock.now + 1}
        await refused(await ask("HEAD", PATH, claims=later), "The token is not yet valid")


@pytest.mark.parametrize(
    "audience",
    [
        "{origin}/api/hubs/chat/groups/a%2Fb",
        "{origin}/api/hubs/chat/groups/a/b",  # not encoded
        "{origin}/api/hubs/chat/groups/a%2fb/",
        "http://127.0.0.1/api/hubs/chat/groups/a%2Fb",  # without a port: SDKs of 2024
        "http://127.0.0.1/api/hubs/chat/groups/a%2Fb?api-version=2024-12-01",  # and with the query
        "HTTP://LOCALHOST:1/api/hubs/chat/groups/a%2Fb",
    ],
)
async def test_check_17_audiences_in_the_wild(site: World, audience: str) -> None:
    claims = {"aud": audience.format(origin=site.rest.origin)}

    assert (await site.rest.ask("HEAD", PATH, claims=claims)).status_code == 404


@pytest.mark.parametrize(
    "audience",
    [
        "{origin}/api/hubs/chat/groups/other",
        "{origin}/api/hubs/other/groups/a%2Fb",
        "{origin}/API/hubs/chat/groups/a%2Fb",
        "{origin}/client/?hub=chat",
        "{origin}",
        "http://elsewhere.test/api/hubs/chat/groups/a%2Fb",
        "https://127.0.0.1/api/hubs/chat/groups/a%2Fb",
        "http://[/api",
        "",
        None,
        7,
    ],
)
async def test_check_17_other_audiences(site: World, audience: str | None) -> None:
    claims = {"aud": audience.format(origin=site.rest.origin) if isinstance(audience, str) else audience}

    await refused(await site.rest.ask("HEAD", PATH, claims=claims), "The audience is invalid")


async def test_check_17_the_endpoint_may_have_another_name() -> None:
    """As behind a proxy, or in a container."""
    async with world(endpoint="https://twin.example:8443/") as site:
        service = site.twin.connection_string
        assert service.startswith("Endpoint=https://twin.example;Port=8443;AccessKey=")


async def test_check_17_a_callers_token_lets_no_client_in(site: World) -> None:
    token = sign(site.rest.key, {"aud": f"{site.rest.origin}/api/hubs/chat/:send", "exp": time.time() + 60})

    async with httpx.AsyncClient() as http:
        url = f"{site.twin.url}/client/negotiate?hub=chat&negotiateVersion=1"
        await refused(await http.post(url, headers={"authorization": f"Bearer {token}"}), "The audience is invalid")


@pytest.mark.parametrize("kid", [{}, {"kid": "unknown"}])
async def test_check_20_both_keys_verify(kid: dict[str, str]) -> None:
    keys = ("first" * 8, "second" * 8)
    async with world(keys=keys) as site:
        assert site.twin.connection_string_with(keys[1]) == site.twin.connection_string.replace(*keys)
        for key in keys:
            token = sign(key, {"aud": site.rest.origin + PATH, "exp": time.time() + 60}, **kid)
            assert (await site.rest.ask("HEAD", PATH, token=token)).status_code == 404
            client = {"aud": f"{site.rest.origin}/client/?hub=chat", "exp": time.time() + 60, "sub": "u"}
            async with signalr_client(ConnectInfo(f"{site.twin.url}/client/?hub=chat", sign(key, client, **kid))):
                assert site.twin.hub("chat").clients()[0].user_id == "u"


async def test_check_20_a_key_is_rotated(site: World) -> None:
    old = site.rest
    async with httpx.AsyncClient() as http:
        new = Rest(site.twin.rotate_key(), http)
        assert new.key != old.key
        assert [(await each.ask("HEAD", PATH)).status_code for each in (old, new)] == [404, 404]

        newest = Rest(site.twin.rotate_key("n" * 32), http)
        assert [(await each.ask("HEAD", PATH)).status_code for each in (old, new, newest)] == [401, 404, 404]
    with pytest.raises(SettingsError, match="AccessKey"):
        site.twin.rotate_key("short")


async def test_check_21_tokens_are_bounded(site: World) -> None:
    claims = {"aud": site.rest.origin + PATH, "exp": time.time() + 60, "x": ""}
    spare = (4096 - len(sign(site.rest.key, claims))) * 3 // 4
    fits = sign(site.rest.key, {**claims, "x": "a" * (spare - 1)})
    assert 4090 < len(fits) <= 4096

    assert (await site.rest.ask("HEAD", PATH, token=fits)).status_code == 404
    over = sign(site.rest.key, {**claims, "x": "a" * (spare + 3)})
    assert (await site.rest.ask("HEAD", PATH, token=over)).status_code == 413


@pytest.mark.parametrize(("query", "seconds"), [("userId=u&minutesToExpire=5", 300), ("userId=u", 3600)])
async def test_check_64_the_service_makes_tokens(site: World, query: str, seconds: int) -> None:
    before = int(time.time())

    answer = await site.rest.chat("POST", ":generateToken", query=query)

    token = answer.json()["token"]
    assert answer.status_code == 200
    assert set(answer.json()) == {"token"}
    assert before <= claims_of(token)["exp"] - seconds <= time.time()
    async with signalr_client(ConnectInfo(f"{site.twin.url}/client/?hub=chat", token)) as client:
        assert (await site.rest.chat("HEAD", "users/u")).status_code == 200
        await site.rest.send("users/u/", {"n": 1})
        await client.until(1)


async def test_check_64_a_token_may_be_nobodys(site: World) -> None:
    token = (await site.rest.chat("POST", ":generateToken", query="application=ignored")).json()["token"]

    async with signalr_client(ConnectInfo(f"{site.twin.url}/client/?hub=chat", token)):
        assert site.twin.hub("chat").clients()[0].user_id is None


@pytest.mark.parametrize("minutes", ["0", "-1", "x", "1.5", "99999999999"])
async def test_check_64_bad_minutes(site: World, minutes: str) -> None:
    answer = await site.rest.chat("POST", ":generateToken", query=f"minutesToExpire={encoded(minutes)}")

    assert answer.status_code == 400


@pytest.mark.parametrize(("host", "said"), [("0.0.0.0", "127.0.0.1"), ("localhost", "localhost")])
async def test_the_endpoint_can_be_reached(host: str, said: str) -> None:
    async with world(host=host) as site:
        assert site.twin.connection_string.startswith(f"Endpoint=http://{said};Port=")
        assert (await site.rest.chat("HEAD", "groups/g")).status_code == 404


def test_the_endpoint_may_be_ipv6() -> None:
    service = Twin("http://[::1]:8888", ["k" * 40])

    assert service.connection_string.startswith("Endpoint=http://[::1];Port=8888;")


async def test_keys_have_a_length() -> None:
    with pytest.raises(SettingsError, match="AccessKey should be at least 32 characters"):
        async with world(keys=["short"]):
            raise AssertionError("it started")
