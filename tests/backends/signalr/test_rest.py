"""Each row of the REST reference: verb, path, escaping, query, body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.signalr.rest import HubApi, Request, message
from streamsink.core.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = "https://x.service.signalr.net"
H = "/api/hubs/chat"
V = "api-version=2024-12-01"
BODY = message("m", b"1")
api = HubApi(BASE, "Chat")

ROWS: list[tuple[Request[Any], str, str]] = [
    (api.health(), "HEAD", f"/api/health?{V}"),
    (api.send_to_all(BODY), "POST", f"{H}/:send?{V}"),
    (api.send_to_all(BODY, excluded=["a", "b/c"]), "POST", f"{H}/:send?{V}&excluded=a&excluded=b%2Fc"),
    (api.send_to_user("u", BODY), "POST", f"{H}/users/u/:send?{V}"),
    (api.send_to_connection("c", BODY), "POST", f"{H}/connections/c/:send?{V}"),
    (api.send_to_group("g", BODY), "POST", f"{H}/groups/g/:send?{V}"),
    (api.send_to_group("g", BODY, excluded=["a"]), "POST", f"{H}/groups/g/:send?{V}&excluded=a"),
    (api.connection_exists("c"), "HEAD", f"{H}/connections/c?{V}"),
    (api.user_exists("u"), "HEAD", f"{H}/users/u?{V}"),
    (api.group_exists("g"), "HEAD", f"{H}/groups/g?{V}"),
    (api.close_connection("c"), "DELETE", f"{H}/connections/c?{V}"),
    (api.close_connection("c", reason="go & rest"), "DELETE", f"{H}/connections/c?{V}&reason=go%20%26%20rest"),
    (api.close_all(excluded=["a"], reason="r"), "POST", f"{H}/:closeConnections?{V}&excluded=a&reason=r"),
    (api.close_group("g"), "POST", f"{H}/groups/g/:closeConnections?{V}"),
    (api.close_user("u", reason="r"), "POST", f"{H}/users/u/:closeConnections?{V}&reason=r"),
    (api.add_connection("g", "c"), "PUT", f"{H}/groups/g/connections/c?{V}"),
    (api.remove_connection("g", "c"), "DELETE", f"{H}/groups/g/connections/c?{V}"),
    (api.remove_connection_from_all("c"), "DELETE", f"{H}/connections/c/groups?{V}"),
    (api.user_in_group("g", "u"), "HEAD", f"{H}/users/u/groups/g?{V}"),
    (api.add_user("g", "u"), "PUT", f"{H}/users/u/groups/g?{V}"),
    (api.add_user("g", "u", ttl_s=0), "PUT", f"{H}/users/u/groups/g?{V}&ttl=0"),
    (api.add_user("g", "u", ttl_s=60), "PUT", f"{H}/users/u/groups/g?{V}&ttl=60"),
    (api.remove_user("g", "u"), "DELETE", f"{H}/users/u/groups/g?{V}"),
    (api.remove_user_from_all("u"), "DELETE", f"{H}/users/u/groups?{V}"),
    (api.generate_token("u+", minutes=5), "POST", f"{H}/:generateToken?{V}&userId=u%2B&minutesToExpire=5"),
    (api.members("g"), "GET", f"{H}/groups/g/connections?{V}&maxpagesize=200"),
    (api.members("g", page="a=1&b=%2F", page_size=9), "GET", f"{H}/groups/g/connections?a=1&b=%2F"),
]


@pytest.mark.parametrize(("request_", "method", "url"), ROWS, ids=lambda value: value if isinstance(value, str) else "")
def test_each_operation_is_asked_for_as_documented(request_: Request[Any], method: str, url: str) -> None:
    assert (request_.method, request_.url) == (method, BASE + url)
    assert request_.audience == BASE + url.partition("?")[0]
    is_send = url.partition("?")[0].endswith(":send")
    assert request_.content == (BODY if is_send else None)
    assert request_.headers == ({"content-type": "application/json"} if is_send else {})
    assert request_.operation.needs_token == ("health" not in url)


BY_NAME: list[tuple[str, Callable[[str], Request[Any]]]] = [
    ("/groups/%s/:send", lambda name: api.send_to_group(name, BODY)),
    ("/users/%s/:send", lambda name: api.send_to_user(name, BODY)),
    ("/connections/%s/:send", lambda name: api.send_to_connection(name, BODY)),
    ("/connections/%s", api.connection_exists),
    ("/connections/%s", api.close_connection),
    ("/connections/%s/groups", api.remove_connection_from_all),
    ("/users/%s", api.user_exists),
    ("/users/%s/:closeConnections", api.close_user),
    ("/users/%s/groups", api.remove_user_from_all),
    ("/users/u/groups/%s", lambda name: api.add_user(name, "u")),
    ("/groups/%s", api.group_exists),
    ("/groups/%s/:closeConnections", api.close_group),
    ("/groups/%s/connections", api.members),
    ("/groups/%s/connections/c", lambda name: api.add_connection(name, "c")),
    ("/groups/g/connections/%s", lambda name: api.remove_connection("g", name)),
]


@pytest.mark.parametrize(("path", "ask"), BY_NAME, ids=[path for path, _ in BY_NAME])
@pytest.mark.parametrize(
    ("name", "escaped"),
    [("a/b", "a%2Fb"), ("ü", "%C3%BC"), ("%", "%25"), ("+", "%2B"), ("a b", "a%20b"), ("a?b#c", "a%3Fb%23c"),
     ("../x", "..%2Fx"), ("ü:{t}*", "%C3%BC%3A%7Bt%7D%2A"), ("~a-b_c.d", "~a-b_c.d"), (":other", "%3Aother")],
)  # fmt: skip
def test_names_are_escaped_in_every_path(
    path: str, ask: Callable[[str], Request[Any]], name: str, escaped: str
) -> None:
    assert ask(name).audience == BASE + H + path.replace("%s", escaped)


@given(st.text(min_size=1, max_size=50))
def test_what_is_signed_for_is_what_the_http_client_sends(name: str) -> None:
    """No library on the way may escape, decode or normalise again; and the service can split before it decodes."""
    try:
        url = api.send_to_group(name, BODY).url
    except InvalidRequestError:
        return
    sent = httpx.URL(url)

    assert str(sent) == url
    path = sent.raw_path.decode().partition("?")[0].split("/")
    assert [unquote(segment) for segment in path] == ["", "api", "hubs", "chat", "groups", name, ":send"]


@pytest.mark.parametrize("name", ["", " ", "\t \t", "a\nb", ".", "..", "x" * 1025])
def test_names_that_the_service_refuses_or_a_path_swallows_are_not_sent(name: str) -> None:
    with pytest.raises(InvalidRequestError):
        api.group_exists(name)


@pytest.mark.parametrize("hub", ["", "1chat", "a/b", "a" * 129, "ü", "a-b"])
def test_what_is_no_hub_name_is_refused(hub: str) -> None:
    with pytest.raises(InvalidRequestError):
        HubApi(BASE, hub)


def test_hub_names_are_in_lower_case_and_escaped() -> None:
    assert HubApi(BASE, "A`,.[]").send_to_all(BODY).audience == f"{BASE}/api/hubs/a%60%2C.%5B%5D/:send"


def test_a_membership_cannot_have_ended_before_it_begins() -> None:
    with pytest.raises(InvalidRequestError):
        api.add_user("g", "u", ttl_s=-1)


def test_arguments_are_taken_as_they_are() -> None:
    assert message("agentMessage", b'{"a": 1}', b"2") == b'{"target":"agentMessage","arguments":[{"a": 1},2]}'
    assert message('"') == b'{"target":"\\"","arguments":[]}'
