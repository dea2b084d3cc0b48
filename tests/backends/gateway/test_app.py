"""The ASGI application: negotiate, refusals, origins, and where it is mounted."""

from __future__ import annotations

import asyncio
import logging

import jwt
import pytest

from streamsink.backends.gateway.negotiate import LONG_POLLING, WEB_SOCKETS, TransportOffer

from .support import BASE, HANDSHAKE, HUB, KEY, Site, settle

V1 = f"hub={HUB}&negotiateVersion=1"
PAGE = "https://page.test"


@pytest.fixture
async def site() -> Site:
    return Site()


async def test_negotiate_version_1(site: Site) -> None:
    """Checks 1, 5 and 9."""
    answer = await site.http("POST", "/client/negotiate", f"{V1}&useStatefulReconnect=true&asrs.op=%2Fx&_=1")

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "negotiateVersion": 1,
        "connectionId": "id1",
        "connectionToken": "id2",
        "availableTransports": [
            {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]},
            {"transport": "ServerSentEvents", "transferFormats": ["Text"]},
            {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]},
        ],
    }


@pytest.mark.parametrize("query", [f"hub={HUB}", f"hub={HUB}&negotiateVersion=0"])
async def test_negotiate_version_0_has_an_id_that_connects(site: Site, query: str) -> None:
    """Check 2."""
    reply = (await site.http("POST", "/client/negotiate", query)).json()

    assert reply["negotiateVersion"] == 0
    assert "connectionToken" not in reply
    socket = await site.open(f"hub={HUB}&id={reply['connectionId']}")
    assert reply["connectionId"] in site.hub
    await socket.end()


@pytest.mark.parametrize(("version", "said"), [("7", 1), ("abc", None), ("-3", None)])
async def test_other_versions(site: Site, version: str, said: int | None) -> None:
    """Check 3: always 200; an error leaves nothing behind."""
    answer = await site.http("POST", "/client/negotiate", f"HUB={HUB}&NegotiateVersion={version}")

    assert answer.status == 200
    assert answer.json().get("negotiateVersion") == said
    assert len(site.connections) == (0 if said is None else 1)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_negotiate_is_a_post(site: Site, method: str) -> None:
    """Check 4."""
    answer = await site.http(method, "/client/negotiate", V1)

    assert answer.status == 405
    assert "POST" in answer.headers["allow"]


async def test_transports_are_configurable() -> None:
    """Check 1."""
    site = Site(transports=[WEB_SOCKETS, TransportOffer("LongPolling", ("Text",))])

    reply = (await site.http("POST", "/client/negotiate", V1)).json()

    assert [offer["transport"] for offer in reply["availableTransports"]] == ["WebSockets", "LongPolling"]


@pytest.mark.parametrize("query", ["", "hub=chat&hub=chat", "hub=1bad", "hub=" + "a" * 129, "hub="])
async def test_exactly_one_valid_hub_is_needed(site: Site, query: str) -> None:
    """Check 7."""
    assert (await site.http("POST", "/client/negotiate", query)).status == 400
    assert (await site.socket(query).refused()).status == 400


async def test_an_unknown_hub_is_not_found(site: Site) -> None:
    """Check 8: there is an allow-list here."""
    assert (await site.http("POST", "/client/negotiate", "hub=other")).status == 404
    assert (await site.socket("hub=other").refused()).status == 404


@pytest.mark.parametrize(
    ("root_path", "path"),
    [("", "/client/negotiate"), ("/app", "/app/client/negotiate"), ("/app/client", "/app/client/negotiate")],
)
async def test_it_serves_below_its_mount(site: Site, root_path: str, path: str) -> None:
    """Check 6; the token is for the prefix too."""
    prefix = root_path.removesuffix("/client")
    token = site.tokens.mint("ann", base_url=BASE + prefix, hub=HUB)

    answer = await site.http("POST", path, V1, root_path=root_path, authorization=f"Bearer {token}")

    assert answer.status == 200
    elsewhere = await site.http("POST", f"/x{path}", V1, root_path=f"/x{root_path}", authorization=f"Bearer {token}")
    assert elsewhere.status == 401


@pytest.mark.parametrize("path", ["/", "/other", "/client/other", "/x/client", "/client/negotiate/"])
async def test_other_paths_are_not_found(site: Site, path: str) -> None:
    assert (await site.http("POST", path)).status == 404
    assert (await site.socket(path=path).refused()).status == 404


def forged(key: bytes = b"x" * 32, **claims: object) -> str:
    good = {"aud": f"{BASE}/client/?hub={HUB}", "exp": 2_000_000}
    return "Bearer " + jwt.encode({**good, **claims}, key, algorithm="HS256")


@pytest.mark.parametrize(
    "headers",
    [
        {"no_token": ""},
        {"authorization": "Bearer "},
        {"authorization": "Basic abc"},
        {"authorization": "Bearer nonsense"},
        {"authorization": forged()},
        {"authorization": forged(KEY, exp=1)},
        {"authorization": forged(KEY, nbf=1_500_000)},
        {"authorization": forged(KEY, aud=f"{BASE}/client/?hub=other")},
        {"authorization": forged(KEY, aud="http://other.test/client/?hub=chat")},
        {"authorization": forged(KEY, aud=f"{BASE}/api/hubs/{HUB}/:send")},
    ],
)
async def test_who_has_no_good_token_is_refused(site: Site, headers: dict[str, str]) -> None:
    """Checks 15, 16 and 17."""
    answers = [
        await site.http("POST", "/client/negotiate", V1, **headers),
        await site.http("GET", "/client/", f"hub={HUB}&id=x", **headers),
        await site.socket(headers=headers).refused(),
    ]

    for answer in answers:
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.body == b""
    assert "nonsense" not in str(answers)


async def test_a_token_that_was_shown_gets_a_reason(site: Site) -> None:
    answer = await site.http("POST", "/client/negotiate", V1, authorization=forged(KEY, exp=1))

    assert answer.headers["www-authenticate"] == ('Bearer error="invalid_token", error_description="The token expired"')


async def test_a_token_in_the_query_counts_where_a_browser_has_no_headers(site: Site) -> None:
    """Check 18."""
    query = f"{V1}&id=none&access_token=old&access_token={site.token()}"

    assert (await site.http("POST", "/client/negotiate", query, no_token="")).status == 401
    assert (await site.http("GET", "/client/", query, no_token="")).status == 401
    stream = await site.http("GET", "/client/", query, no_token="", accept="text/event-stream")
    assert stream.status == 404
    assert (await site.socket(query, headers={"no_token": ""}).refused()).status == 404


async def test_the_header_wins_over_the_query(site: Site) -> None:
    """Check 18."""
    query = f"hub={HUB}&access_token={site.token()}"

    assert (await site.socket(query, headers={"authorization": "Bearer nonsense"}).refused()).status == 401
    socket = await site.open(f"hub={HUB}&access_token=nonsense")
    await socket.end()


async def test_a_long_token_is_a_client_error(site: Site) -> None:
    """Check 21."""
    assert (await site.http("POST", "/client/negotiate", V1, authorization="Bearer " + "x" * 4097)).status == 413


@pytest.mark.parametrize("path", ["/client", "/client/", "/client/negotiate"])
async def test_preflights_need_no_token(site: Site, path: str) -> None:
    """Check 14."""
    answer = await site.http(
        "OPTIONS",
        path,
        "",
        no_token="",
        origin=PAGE,
        access_control_request_method="POST",
        access_control_request_headers="authorization,x-requested-with,x-signalr-user-agent",
    )

    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-allow-methods"] == "GET, POST, DELETE"
    assert answer.headers["access-control-allow-headers"] == "authorization,x-requested-with,x-signalr-user-agent"
    assert answer.headers["vary"] == "Origin"
    assert "content-length" not in answer.headers


async def test_errors_carry_cors_too(site: Site) -> None:
    """Check 14."""
    answers = [
        await site.http("POST", "/client/negotiate", V1, no_token="", origin=PAGE),
        await site.http("PUT", "/client/negotiate", V1, origin=PAGE),
        await site.http("GET", "/nowhere", V1, origin=PAGE),
        await site.http("POST", "/client/negotiate", V1, origin=PAGE),
    ]

    assert [answer.status for answer in answers] == [401, 405, 404, 200]
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {PAGE}


@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
async def test_pages_of_other_sites_are_refused(site: Site, method: str) -> None:
    """Check 14."""
    answer = await site.http(method, "/client/negotiate", V1, origin="https://evil.test")

    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers


async def test_upgrades_of_other_sites_are_refused(site: Site) -> None:
    assert (await site.socket(headers={"origin": "https://evil.test"}).refused()).status == 403
    socket = await site.open(origin=PAGE)
    await socket.end()


async def test_a_negotiated_token_is_good_for_15_seconds(site: Site) -> None:
    """Check 10."""
    token = (await site.http("POST", "/client/negotiate", V1)).json()["connectionToken"]
    site.clock.advance(15)

    assert (await site.socket(f"hub={HUB}&id={token}").refused()).status == 404


@pytest.mark.parametrize("token", ["unknown", ""])
async def test_an_unknown_id_is_refused_before_the_upgrade(site: Site, token: str) -> None:
    """Check 11."""
    answer = await site.socket(f"hub={HUB}&id={token}").refused()

    assert (answer.status, answer.body) == (404, b"No Connection with that ID")


@pytest.mark.parametrize("extensions", [None, {}])
async def test_without_the_servers_help_a_refusal_is_a_close(site: Site, extensions: dict[str, object] | None) -> None:
    socket = site.socket(f"hub={HUB}&id=unknown", extensions=extensions)
    await socket.task

    assert socket.sent == [{"type": "websocket.close", "code": 1000}]


async def test_a_connected_id_cannot_be_used_again(site: Site) -> None:
    """Checks 12, 48 and 53."""
    token = (await site.http("POST", "/client/negotiate", V1)).json()["connectionToken"]
    query = f"hub={HUB}&id={token}"
    socket = await site.open(query)

    assert (await site.socket(query).refused()).status == 409
    assert (await site.http("GET", "/client/", query)).status == 400
    assert (await site.http("DELETE", "/client/", query)).status == 400
    assert (await site.http("POST", "/client/", query)).status == 405
    await socket.end()
    assert (await site.socket(query).refused()).status == 404
    assert (await site.http("POST", "/client/", query)).status == 404


async def test_somebody_elses_id_is_unknown(site: Site) -> None:
    token = (await site.http("POST", "/client/negotiate", V1)).json()["connectionToken"]

    answer = await site.socket(
        f"hub={HUB}&id={token}", headers={"authorization": f"Bearer {site.token('bob')}"}
    ).refused()

    assert answer.status == 404


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_transports_that_are_not_offered(method: str) -> None:
    """Check 48."""
    site = Site(transports=[WEB_SOCKETS])
    token = (await site.http("POST", "/client/negotiate", V1)).json()["connectionToken"]

    missing = await site.http(method, "/client")
    assert (missing.status, missing.body) == (400, b"Connection ID required")
    assert (await site.http(method, "/client/", f"hub={HUB}&id=unknown")).status == 404
    assert (await site.http(method, "/client/", f"hub={HUB}&id={token}")).status == 404


async def test_websockets_need_not_be_offered() -> None:
    """Check 12: a transport that is disabled is not found."""
    site = Site(transports=[LONG_POLLING])

    assert (await site.socket().refused()).status == 404


async def test_other_verbs_are_refused(site: Site) -> None:
    assert (await site.http("PATCH", "/client/")).status == 405


@pytest.mark.parametrize("path", ["/client", "/client/"])
async def test_a_client_that_does_not_negotiate_connects(site: Site, path: str) -> None:
    """Checks 6 and 13."""
    socket = site.socket(path=path)
    socket.say(HANDSHAKE)
    await settle()

    assert [message["type"] for message in socket.sent] == ["websocket.accept", "websocket.send"]
    assert len(site.hub) == 1
    await socket.end()
    assert len(site.hub) == 0


async def test_a_draining_gateway_sends_everybody_elsewhere(site: Site) -> None:
    socket = await site.open()

    site.app.drain()
    await settle()

    assert socket.said()[-1] == '{"type":7,"allowReconnect":true}\x1e'
    assert socket.is_closed
    answer = await site.http("POST", "/client/negotiate", V1)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert (await site.socket().refused()).status == 503
    await socket.end()


async def test_a_draining_hub_takes_nobody(site: Site) -> None:
    await site.hub.drain()

    assert (await site.http("POST", "/client/negotiate", V1)).status == 503


async def test_closing_waits_for_the_last_connection_and_leaves_no_task(site: Site) -> None:
    before = asyncio.all_tasks()
    sockets = [await site.open(), site.socket()]
    await settle()

    closing = asyncio.create_task(site.app.aclose())
    await settle()
    assert not closing.done()
    for socket in sockets:
        assert socket.is_closed
        await socket.end()
    await closing
    await site.app.aclose()

    assert sockets[1].said() == ['{"error":"Handshake was canceled."}\x1e']
    assert asyncio.all_tasks() == before


async def test_one_task_looks_at_the_clock_while_there_are_connections(site: Site) -> None:
    """Check 42: pings."""
    before = len(asyncio.all_tasks())
    first, second = await site.open(), await site.open()
    assert len(asyncio.all_tasks()) == before + 5  # per connection its server's task and a writer

    site.clock.advance(15)
    site.turns.put_nowait(None)
    await settle()

    assert first.said()[1:] == second.said()[1:] == ['{"type":6}\x1e']
    await first.end()
    await second.end()
    assert len(asyncio.all_tasks()) == before


async def test_nothing_secret_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Checks 15 and 31."""
    caplog.set_level(logging.DEBUG)
    socket = await site.open(f"hub={HUB}&access_token=hidden1")
    socket.say('{"type":1,"headers":{"Authorization":"hidden2"},"target":"X","arguments":["hidden3"]}\x1e')
    socket.say('{"type":1,"target":"hidden4"}\x1e')
    await settle()
    await socket.end()
    await site.socket(f"hub={HUB}&id=hidden5", headers={"authorization": "Bearer hidden6"}).refused()

    assert "not a hub message" in caplog.text
    assert "hidden" not in caplog.text
