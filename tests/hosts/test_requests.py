"""Starlette's requests as core's, and the URL that clients reach us by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from streamsink.core.errors import InvalidRequestError, TooLargeError
from streamsink.hosts.requests import base_url, is_https, neutral_request, read_body, route_path

if TYPE_CHECKING:
    from collections.abc import MutableMapping


def native(*headers: tuple[str, str], chunks: tuple[bytes, ...] = (), **scope: Any) -> Request:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers or (("host", "host.test"),)]
    messages = iter([{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks])

    async def receive() -> MutableMapping[str, Any]:
        return next(messages, {"type": "http.request", "body": b"", "more_body": False})

    whole = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "query_string": b"", "headers": raw}
    return Request({**whole, **scope}, receive)


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [
        ("/api/x", "", "/api/x"),
        ("/chat/api/x", "/chat", "/api/x"),
        ("/chat/api/x", "/chat/", "/api/x"),
        ("/chat", "/chat", "/"),
        ("/chat/", "/chat", "/"),
        ("/chatter/x", "/chat", "/chatter/x"),
        ("/api/x", "/chat", "/api/x"),
    ],
)
def test_the_path_is_the_one_below_the_mount(path: str, root: str, below: str) -> None:
    assert route_path({"path": path, "root_path": root}) == below


@pytest.mark.parametrize(
    ("host", "scope", "url"),
    [
        ("host.test", {}, "http://host.test"),
        ("host.test:8080", {"scheme": "https"}, "https://host.test:8080"),
        ("[::1]:7071", {}, "http://[::1]:7071"),
        ("host.test", {"root_path": "/chat/", "path": "/chat/api"}, "http://host.test/chat"),
    ],
)
def test_clients_reach_us_where_they_say_they_did(host: str, scope: dict[str, Any], url: str) -> None:
    assert base_url(native(("host", host), **scope), None) == url


def test_a_public_url_is_believed_before_any_header() -> None:
    assert base_url(native(("host", "evil.example/x")), "https://public.test/chat") == "https://public.test/chat"


@pytest.mark.parametrize("host", ["", "a b", "evil/x", "a@b", "a?b", "ho\\st", "host:port", "h" * 256, "größe"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(InvalidRequestError):
        base_url(native(("host", host)), None)


def test_a_request_without_a_host_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        base_url(native(("accept", "x")), None)


def test_identify_sees_the_same_request_on_every_host() -> None:
    request = native(
        ("accept", "a"),
        ("accept", "b"),
        ("cookie", "x=1; y=2"),
        method="POST",
        path="/chat/api",
        root_path="/chat",
        query_string=b"a=1&a=2&b=",
    )

    neutral = neutral_request(request)

    assert (neutral.method, neutral.path) == ("POST", "/api")
    assert neutral.query == {"a": "2", "b": ""}
    assert neutral.headers["accept"] == "a, b"
    assert neutral.cookies == {"x": "1", "y": "2"}
    assert neutral.native is request


async def test_a_body_is_read_whole() -> None:
    assert await read_body(native(chunks=(b"ab", b"", b"cd")), 4) == b"abcd"


async def test_a_body_over_the_bound_is_not_read_to_its_end() -> None:
    with pytest.raises(TooLargeError):
        await read_body(native(chunks=(b"ab", b"cde") + (b"x",) * 10**6), 4)


@pytest.mark.parametrize(
    ("scheme", "forwarded", "https"),
    [("https", (), True), ("http", (), False), ("http", ("https, http",), True), ("https", ("http",), False)],
)
def test_https_is_what_the_browser_used(scheme: str, forwarded: tuple[str, ...], https: bool) -> None:
    headers = [("host", "host.test"), *(("x-forwarded-proto", value) for value in forwarded)]

    assert is_https(neutral_request(native(*headers, scheme=scheme))) is https
