"""Users' groups, closing and pages: checks 60, 62 and 63."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from streamsink.backends.gateway.json_protocol import JSON

from .support import ManualClock, Nowhere, World, said, world

WAIT_S = 10


async def test_check_60_zero_is_for_now_only(site: World) -> None:
    now = await site.client("u")

    answer = await site.rest.chat("PUT", "users/u/groups/g", query="ttl=0")

    later = await site.client("u")
    assert answer.status_code == 200
    assert site.twin.hub("chat").members("g") == [now.connection_id]
    assert later.connection_id not in site.twin.hub("chat").members("g")
    assert (await site.rest.chat("HEAD", "users/u/groups/g")).status_code == 404  # nothing is remembered


async def test_check_60_seconds_end() -> None:
    clock = ManualClock()
    async with world(monotonic=clock) as site:
        assert (await site.rest.chat("PUT", "users/u/groups/g", query="ttl=1")).status_code == 200
        clock.now += 0.9
        before = await site.client("u")
        assert (await site.rest.chat("HEAD", "users/u/groups/g")).status_code == 200
        clock.now += 0.1
        await site.client("u")

        assert site.twin.hub("chat").members("g") == [before.connection_id]  # who is in stays in
        assert (await site.rest.chat("HEAD", "users/u/groups/g")).status_code == 404
        await site.clients.aclose()


async def test_check_60_without_it_the_100_newest_are_kept(site: World) -> None:
    assert (await site.rest.chat("PUT", "users/u/groups/short", query="ttl=60")).status_code == 200
    for number in range(101):
        assert (await site.rest.chat("PUT", f"users/u/groups/g{number}")).status_code == 200

    client = await site.client("u")

    hub = site.twin.hub("chat")
    assert (hub.members("g0"), hub.members("g1"), hub.members("g100")) == ([], *[[client.connection_id]] * 2)
    assert hub.members("short") == [client.connection_id]


@pytest.mark.parametrize("ttl", ["-1", "x", "", "1.5", "2147483648"])
async def test_check_60_bad_times(site: World, ttl: str) -> None:
    answer = await site.rest.chat("PUT", "users/u/groups/g", query=f"ttl={ttl}")
    old = await site.rest.ask("PUT", "/api/v1/hubs/chat/groups/g/users/u", f"ttl={ttl}")

    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "Error.Request.Invalid")
    assert (old.status_code, "x-ms-error-code" in old.headers) == (400, False)


async def test_check_60_a_user_leaves_now_and_for_later(site: World) -> None:
    now = await site.client("u", "chat", "own")
    for group in ("a", "b"):
        await site.rest.chat("PUT", f"users/u/groups/{group}")
    hub = site.twin.hub("chat")

    assert (await site.rest.chat("DELETE", "users/u/groups/a")).status_code == 204
    assert ([hub.members(name) for name in ("a", "b", "own")]) == [[], [now.connection_id], [now.connection_id]]
    assert (await site.rest.chat("DELETE", "users/u/groups")).status_code == 204
    await site.client("u")

    assert [hub.members(name) for name in ("a", "b", "own")] == [[], [], []]


async def test_memberships_belong_to_a_hub(site: World) -> None:
    await site.rest.chat("PUT", "users/u/groups/g")

    await site.client("u", "other")

    assert site.twin.hub("other").members("g") == []


@pytest.mark.parametrize("path", [":closeConnections", "groups/g/:closeConnections", "users/u/:closeConnections"])
async def test_check_62_the_reason_reaches_clients(site: World, path: str) -> None:
    client = await site.client("u", "chat", "g")

    answer = await site.rest.chat("POST", path, query="reason=go%20away")

    await client.ended()
    assert answer.status_code == 204
    assert client.closed == {"type": 7, "error": "go away", "allowReconnect": True}


async def test_check_62_one_connection(site: World) -> None:
    client, other = await site.client("u"), await site.client("u")

    answer = await site.rest.chat("DELETE", f"connections/{client.connection_id}")

    await client.ended()
    assert (answer.status_code, client.closed) == (200, {"type": 7, "allowReconnect": True})
    assert site.twin.hub("chat").clients()[0].connection_id == other.connection_id


async def test_check_62_clients_may_be_told_to_stay_away() -> None:
    async with world(close_reconnects=False) as site:
        client = await site.client()
        await site.rest.chat("POST", ":closeConnections", query="reason=out")
        await client.ended()

        assert client.closed == {"type": 7, "error": "out"}
        await site.clients.aclose()


async def test_check_62_the_transport_ends_by_itself(site: World) -> None:
    """A client that answers nothing, not even the WebSocket's own close."""
    info, address = site.twin.connect_info("chat"), urlsplit(site.twin.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        f"GET /client/?hub=chat HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {info.access_token}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    async with asyncio.timeout(WAIT_S):
        await reader.readuntil(b"\r\n\r\n")
        hello = b'{"protocol":"json","version":1}\x1e'
        writer.write(bytes([0x81, 0x80 | len(hello), 0, 0, 0, 0]) + hello)
        await reader.readuntil(b"{}\x1e")
        await site.rest.chat("POST", ":closeConnections", query="reason=r")
        rest = await reader.read()
        writer.close()

    assert b'"error":"r"' in rest


async def pages(site: World, query: str) -> list[list[str]]:
    """Every page, by following the links as they are."""
    found = []
    answer = await site.rest.chat("GET", "groups/g/connections", query=query)
    while True:
        assert answer.status_code == 200
        page: dict[str, Any] = answer.json()
        found.append([member["connectionId"] for member in page["value"]])
        if "nextLink" not in page:
            return found
        assert page["nextLink"].startswith(f"{site.rest.origin}/api/hubs/")
        path, _, link_query = page["nextLink"].removeprefix(site.rest.origin).partition("?")
        answer = await site.rest.ask("GET", path, link_query)


def crowd(site: World, count: int, hub: str = "chat") -> list[str]:
    """So many members of the group ``g``, in the order of their ids."""
    ids = [f"c{number:02}" for number in range(count)]
    for connection_id in ids:
        site.twin.hub(hub).connect(connection_id, "u", protocol=JSON, transport=Nowhere())
        site.twin.hub(hub).join("g", connection_id)
    return ids


async def test_check_63_members_come_in_pages(site: World) -> None:
    ids = crowd(site, 25)

    found = await pages(site, "maxpagesize=10")

    assert found == [ids[:10], ids[10:20], ids[20:]]
    assert await pages(site, "") == [ids]
    assert await pages(site, "maxpagesize=25") == [ids]


@pytest.mark.parametrize(
    ("query", "sizes"),
    [
        ("top=4", [4]),
        ("top=25", [25]),
        ("top=100", [25]),
        ("maxpagesize=10&top=10", [10]),
        ("maxpagesize=10&top=15", [10, 5]),
        ("maxpagesize=10&top=20", [10, 10]),
        ("maxpagesize=10&top=99", [10, 10, 5]),
    ],
)
async def test_check_63_top_bounds_all_pages(site: World, query: str, sizes: list[int]) -> None:
    ids = crowd(site, 25)

    found = await pages(site, query)

    assert [len(page) for page in found] == sizes
    assert [each for page in found for each in page] == ids[: sum(sizes)]


async def test_check_63_pages_are_stable(site: World) -> None:
    """Who comes and goes meanwhile moves nobody else."""
    ids = crowd(site, 25)
    hub = site.twin.hub("chat")
    first = (await site.rest.chat("GET", "groups/g/connections", query="maxpagesize=10")).json()
    hub.disconnect(ids[0])
    hub.disconnect(ids[9])
    hub.connect("a-new-one", None, protocol=JSON, transport=Nowhere())
    hub.join("g", "a-new-one")

    path, _, query = first["nextLink"].removeprefix(site.rest.origin).partition("?")
    second = (await site.rest.ask("GET", path, query)).json()

    assert [member["connectionId"] for member in second["value"]] == ids[10:20]


async def test_check_63_a_member_has_a_user_or_none(site: World) -> None:
    ann, nobody = await site.client("ann", "chat", "g"), await site.client(None, "chat", "g")

    found = (await site.rest.chat("GET", "groups/g/connections")).json()

    expected = [{"connectionId": ann.connection_id, "userId": "ann"}, {"connectionId": nobody.connection_id}]
    assert sorted(found["value"], key=str) == sorted(expected, key=str)
    assert "nextLink" not in found
    assert (await site.rest.chat("GET", "groups/none/connections")).json() == {"value": []}


async def test_check_63_links_keep_the_application(site: World) -> None:
    ids = crowd(site, 3, "a_chat")

    assert await pages(site, "maxpagesize=2&application=A") == [ids[:2], ids[2:]]


@pytest.mark.parametrize(
    "query",
    [
        "maxpagesize=0",
        "maxpagesize=201",
        "maxpagesize=x",
        "top=0",
        "top=-1",
        "continuationToken=",
        "continuationToken=%FF",
    ]
    + [f"continuationToken={token}" for token in ("!", "a", "Yz", "YQ==")],
)
async def test_check_63_bad_pages(site: World, query: str) -> None:
    answer = await site.rest.chat("GET", "groups/g/connections", query=query)

    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "Error.Request.Invalid")


async def test_sends_reach_the_members_of_the_moment(site: World) -> None:
    client = await site.client("u")
    path = f"groups/g/connections/{client.connection_id}"

    for verb, number in (("PUT", 1), ("DELETE", 2), ("PUT", 3)):
        await site.rest.chat(verb, path)
        await site.rest.send("groups/g/", {"n": number})
    await client.until(2)

    assert said(client) == [{"n": 1}, {"n": 3}]
