"""The rows of the operations table, on a real port with real clients: checks 54 to 59 and 61."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.backends.gateway.messagepack_protocol import MESSAGE_PACK

from .support import VERSION, Nowhere, World, encoded, said

if TYPE_CHECKING:
    from streamsink.testing.signalr import SignalRClient

CODE = "x-ms-error-code"
MARK = {"last": True}

# Number in the table, verb, path below /api/hubs/chat, status. {c}: a connection of the user u in the group g.
NEW = [
    (2, "POST", ":send", 202),
    (3, "POST", "users/u/:send", 202),
    (4, "POST", "connections/{c}/:send", 202),
    (5, "POST", "groups/g/:send", 202),
    (6, "HEAD", "connections/{c}", 200),
    (7, "HEAD", "users/u", 200),
    (8, "HEAD", "groups/g", 200),
    (9, "DELETE", "connections/{c}", 200),
    (10, "POST", ":closeConnections", 204),
    (11, "POST", "groups/g/:closeConnections", 204),
    (12, "POST", "users/u/:closeConnections", 204),
    (13, "PUT", "groups/other/connections/{c}", 200),
    (14, "DELETE", "groups/g/connections/{c}", 200),
    (15, "DELETE", "connections/{c}/groups", 200),
    (16, "HEAD", "users/u/groups/remembered", 200),
    (16, "GET", "users/u/groups/remembered", 200),
    (17, "PUT", "users/u/groups/g", 200),
    (18, "DELETE", "users/u/groups/g", 204),
    (19, "DELETE", "users/u/groups", 204),
]
OLD = [
    (2, "POST", "", 202),
    (3, "POST", "/users/u", 202),
    (4, "POST", "/connections/{c}", 202),
    (5, "POST", "/groups/g", 202),
    (6, "HEAD", "/connections/{c}", 200),
    (6, "GET", "/connections/{c}", 200),
    (7, "GET", "/users/u", 200),
    (8, "GET", "/groups/g", 200),
    (9, "DELETE", "/connections/{c}", 202),
    (13, "PUT", "/groups/other/connections/{c}", 200),
    (14, "DELETE", "/groups/g/connections/{c}", 200),
    (16, "GET", "/groups/remembered/users/u", 200),
    (16, "HEAD", "/groups/remembered/users/u", 200),
    (17, "PUT", "/groups/g/users/u", 202),
    (18, "DELETE", "/groups/g/users/u", 202),
    (19, "DELETE", "/users/u/groups", 200),
]


async def last(site: World, *clients: SignalRClient) -> None:
    """Return when these clients have received everything that was sent before."""
    await site.rest.send("", MARK)
    for client in clients:
        async with asyncio.timeout(10):
            while MARK not in said(client):
                await client.until(len(client.received) + 1)


async def ready(site: World) -> str:
    client = await site.client("u", "chat", "g")
    site.twin.hub("chat").join_user("remembered", "u", None)
    return client.connection_id


@pytest.mark.parametrize(("row", "method", "path", "status"), NEW)
async def test_check_54_new_shape(site: World, row: int, method: str, path: str, status: int) -> None:
    connection_id = await ready(site)
    body: dict[str, Any] = {"json": {"target": "t", "arguments": [{}]}} if row in range(2, 6) else {}

    answer = await site.rest.chat(method, path.format(c=connection_id), **body)

    assert (answer.status_code, answer.content) == (status, b"")
    assert CODE not in answer.headers


@pytest.mark.parametrize(("row", "method", "path", "status"), OLD)
async def test_check_54_old_shape(site: World, row: int, method: str, path: str, status: int) -> None:
    """Without an api-version, and with the old statuses."""
    connection_id = await ready(site)
    body: dict[str, Any] = {"json": {"target": "t", "arguments": [{}]}} if row in range(2, 6) else {}

    answer = await site.rest.ask(method, "/api/v1/hubs/chat" + path.format(c=connection_id), None, **body)

    assert (answer.status_code, answer.content) == (status, b"")


@pytest.mark.parametrize("path", ["/api/health", "/api/v1/health"])
async def test_check_54_health_needs_no_token(site: World, path: str) -> None:
    answer = await site.rest.ask("HEAD", path, token="")

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("query", [None, "api-version=", "api-version=latest"])
async def test_check_54_the_new_shape_needs_an_api_version(site: World, query: str | None) -> None:
    answer = await site.rest.ask("POST", "/api/hubs/chat/:send", query, json={"target": "t"})

    assert (answer.status_code, answer.headers[CODE]) == (400, "Error.Request.Invalid")
    assert answer.json()["code"] == "Error.Request.Invalid"
    assert "api-version" in answer.json()["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/hubs/chat", 404),
        ("GET", "/api/hubs/chat/:send", 405),
        ("POST", "/api/hubs/chat/:send/", 404),
        ("POST", "/api/hubs/chat/:unknown", 404),
        ("PUT", "/api/hubs/chat/connections/c/groups/g", 404),
        ("POST", "/api/v1/hubs/chat/:send", 404),
        ("HEAD", "/api/hubs/chat/users/:unknown", 404),
        ("GET", "/elsewhere", 404),
    ],
)
async def test_what_the_service_does_not_list_is_not_there(site: World, method: str, path: str, status: int) -> None:
    """No code: to an SDK that is a wrong endpoint, not a "no"."""
    answer = await site.rest.ask(method, path)

    assert (answer.status_code, CODE in answer.headers) == (status, False)
    assert ("allow" in answer.headers) == (status == 405)


async def test_check_55_names_of_the_body_may_have_capitals(site: World) -> None:
    """As .NET's SDK writes them; more arguments than Microsoft's emulator takes, and none."""
    client = await site.client()
    numbers = [{"n": n} for n in range(20)]

    answers = [
        await site.rest.chat("POST", ":send", json={"Target": "capitals", "Arguments": [{"a": 1}]}),
        await site.rest.chat("POST", ":send", json={"target": "many", "arguments": numbers, "other": 1}),
    ]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert [(event.target, event.data) for event in await client.until(2)] == [
        ("capitals", {"a": 1}),
        ("many", {"n": 0}),
    ]


@pytest.mark.parametrize(
    "body",
    ["", "{}", '{"target":""}', '{"target":1}', '{"target":"m","arguments":{}}', "[]", "{", '"\\ud800"', "[" * 9999],
)
@pytest.mark.parametrize("path", ["/api/hubs/chat/:send", "/api/v1/hubs/chat"])
async def test_checks_55_and_61_bad_bodies(site: World, path: str, body: str) -> None:
    answer = await site.rest.ask("POST", path, content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 400
    if "v1" in path:
        assert (answer.headers["content-type"], CODE in answer.headers) == ("text/plain; charset=utf-8", False)
        assert answer.text
    else:
        assert answer.headers[CODE] == answer.json()["code"] == "Error.Request.Invalid"


async def test_check_56_excluded_connections_get_nothing(site: World) -> None:
    ann, bob, cid = [await site.client(user, "chat", "g") for user in ("ann", "bob", "cid")]
    query = f"excluded={ann.connection_id}&excluded={bob.connection_id}&excluded=unknown"

    for path in ("", "groups/g/"):
        assert (await site.rest.send(path, {"to": path}, query=query)).status_code == 202
    await site.rest.send("users/ann/", {"to": "ann"}, query=query)  # a user's send has no exclusions
    await last(site, ann, bob, cid)

    assert [said(client)[:-1] for client in (ann, bob, cid)] == [[{"to": "ann"}], [], [{"to": ""}, {"to": "groups/g/"}]]


@pytest.mark.parametrize("path", ["", "groups/g/", "users/u/"])
async def test_check_56_excluded_connections_stay(site: World, path: str) -> None:
    kept, closed = [await site.client("u", "chat", "g") for _ in range(2)]

    answer = await site.rest.chat("POST", f"{path}:closeConnections", query=f"excluded={kept.connection_id}")

    await closed.ended()
    assert answer.status_code == 204
    assert [client.connection_id for client in site.twin.hub("chat").clients()] == [kept.connection_id]


@pytest.mark.parametrize("path", ["connections/nobody/", "users/nobody/", "groups/nothing/"])
async def test_check_57_sends_to_nobody_are_accepted(site: World, path: str) -> None:
    assert (await site.rest.send(path)).status_code == 202
    answer = await site.rest.ask("POST", "/api/hubs/nowhere/:send", json={"target": "m"})
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("HEAD", "connections/nobody", "Warning.Connection.NotExisted"),
        ("DELETE", "connections/nobody", "Warning.Connection.NotExisted"),
        ("HEAD", "users/nobody", "Warning.User.NotExisted"),
        ("HEAD", "groups/nothing", "Warning.Group.NotExisted"),
        ("HEAD", "users/u/groups/nothing", "Info.User.NotInGroup"),
        ("GET", "users/u/groups/nothing", "Info.User.NotInGroup"),
        ("PUT", "groups/g/connections/nobody", "Error.Connection.NotExisted"),
        ("DELETE", "groups/g/connections/nobody", "Error.Connection.NotExisted"),
    ],
)
async def test_check_58_what_is_absent_says_so_in_the_header(site: World, method: str, path: str, code: str) -> None:
    answer = await site.rest.chat(method, path)

    assert (answer.status_code, answer.headers[CODE]) == (404, code)
    assert answer.content == b"" if method == "HEAD" else answer.json()["code"] == code


async def test_removing_what_is_not_there_is_no_error(site: World) -> None:
    client = await site.client("u")
    for path in (
        f"groups/g/connections/{client.connection_id}",
        "connections/nobody/groups",
        "users/nobody/groups/g",
        "users/nobody/groups",
    ):
        assert (await site.rest.chat("DELETE", path)).is_success


@pytest.mark.parametrize("group", [" ", "", " \t", "g" * 1025, "a\nb"])
async def test_check_59_bad_groups(site: World, group: str) -> None:
    client = await site.client("u")
    path = f"groups/{encoded(group)}"

    answers = [
        await site.rest.send(f"{path}/"),
        await site.rest.chat("HEAD", path),
        await site.rest.chat("PUT", f"{path}/connections/{client.connection_id}"),
        await site.rest.chat("PUT", f"users/u/{path}"),
        await site.rest.chat("GET", f"{path}/connections"),
        await site.rest.chat("POST", f"{path}/:closeConnections"),
    ]

    assert {answer.status_code for answer in answers} == {400}
    assert {answer.headers[CODE] for answer in answers} == {"Error.Request.Invalid"}


@pytest.mark.parametrize("group", ["g" * 1024, "a/b", "ü", "%", "+", " a", "a b", ":send", "..%2F", "?#&"])
async def test_check_59_groups_round_trip(site: World, group: str) -> None:
    client, other = await site.client("u"), await site.client("v")
    path = f"groups/{encoded(group)}"

    assert (await site.rest.chat("PUT", f"{path}/connections/{client.connection_id}")).status_code == 200
    assert site.twin.hub("chat").members(group) == [client.connection_id]
    assert (await site.rest.send(f"{path}/", {"n": 1})).status_code == 202
    await last(site, client, other)
    assert (said(client), said(other)) == ([{"n": 1}, MARK], [MARK])
    assert (await site.rest.chat("HEAD", path)).status_code == 200
    await site.rest.chat("DELETE", f"{path}/connections/{client.connection_id}")
    assert (await site.rest.chat("HEAD", path)).status_code == 404


@pytest.mark.parametrize("hub", ["1bad", "a" * 129, "", "a b", "a/b"])
async def test_bad_hubs_and_applications(site: World, hub: str) -> None:
    path, query = f"/api/hubs/{encoded(hub)}/:send", f"api-version={VERSION}"
    assert (await site.rest.ask("POST", path, json={"target": "m"})).status_code == 400
    query += f"&application={encoded(hub)}"
    assert (await site.rest.ask("POST", "/api/hubs/chat/:send", query, json={"target": "m"})).status_code == 400


async def test_an_applications_hub_has_its_name_in_front(site: World) -> None:
    inside, outside = await site.client(None, "app_chat"), await site.client()

    answer = await site.rest.chat("POST", ":send", query="application=App", json={"target": "m", "arguments": [{}]})

    assert answer.status_code == 202
    await inside.until(1)
    await last(site, outside)
    assert said(outside) == [MARK]


async def test_check_61_a_body_may_have_a_megabyte(site: World) -> None:
    frame = b'{"target":"m","arguments":["%s"]}'
    exact = frame % (b"a" * (1_048_576 - len(frame) + 2))
    headers = {"content-type": "application/json"}

    fits = await site.rest.chat("POST", ":send", content=exact, headers=headers)
    over = await site.rest.chat("POST", ":send", content=exact + b" ", headers=headers)

    assert (fits.status_code, over.status_code) == (202, 413)
    assert over.headers[CODE] == "Error.Request.Invalid"


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-msgpack", "application/octet-stream", "application/json; charset=utf-16"]
)
async def test_check_61_other_content_types(site: World, kind: str) -> None:
    answer = await site.rest.chat("POST", ":send", content=b'{"target":"m"}', headers={"content-type": kind})

    assert answer.status_code == 415


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
async def test_json_may_say_its_charset(site: World, kind: str) -> None:
    answer = await site.rest.chat("POST", ":send", content=b'{"target":"m"}', headers={"content-type": kind})

    assert answer.status_code == 202


async def test_headers_are_bounded(site: World) -> None:
    assert (await site.rest.chat("HEAD", "groups/g", headers={"x": "a" * 15_000})).status_code == 404
    assert (await site.rest.chat("HEAD", "groups/g", headers={"x": "a" * 17_000})).status_code == 431


async def test_users_and_connections_have_names(site: World) -> None:
    for verb, path in (("HEAD", "users/"), ("HEAD", "connections/"), ("PUT", "users//groups/g")):
        assert (await site.rest.chat(verb, path)).status_code == 400
    for user, status in (("u" * 1024, 204), ("u" * 1025, 400), (" ", 400)):
        answer = await site.rest.chat("POST", f"users/{encoded(user)}/:closeConnections")
        assert answer.status_code == status


async def test_a_number_that_a_client_cannot_be_told_is_refused(site: World) -> None:
    """MessagePack has 64 bits; what JSON clients get has any number."""
    site.twin.hub("chat").connect("c", None, protocol=MESSAGE_PACK, transport=Nowhere())

    answer = await site.rest.send("", {"n": 2**64})

    assert (answer.status_code, answer.headers[CODE]) == (400, "Error.Request.Invalid")
    assert (await site.rest.send("users/u/", {"n": 2**64})).status_code == 202
