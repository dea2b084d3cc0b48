"""The little HTTP that the gateway needs."""

from __future__ import annotations

from typing import Any

import pytest

from streamsink.backends.gateway.admission import same_host
from streamsink.backends.gateway.http import Request, preflight


def make_request(**scope: Any) -> Request:
    return Request.of({"type": "http", "path": "/client", "headers": [], **scope})


@pytest.mark.parametrize(
    ("root", "path", "prefix", "route"),
    [
        ("", "/client", "", "/client"),
        ("/a", "/a/client/", "/a", "/client/"),
        ("/a/", "/a/client/", "/a", "/client/"),
        ("/a", "/client", "/a", "/client"),  # a server that leaves the prefix out
        ("/c", "/client", "/c", "/client"),
        ("/client", "/client/negotiate", "", "/client/negotiate"),
        ("/a/client", "/a/client", "/a", "/client"),
    ],
)
def test_the_route_is_what_lies_below_the_prefix(root: str, path: str, prefix: str, route: str) -> None:
    """Check 6."""
    request = make_request(root_path=root, path=path)

    assert (request.prefix, request.route) == (prefix, route)


def test_names_in_the_query_have_no_case_and_the_last_value_counts() -> None:
    request = make_request(query_string=b"ID=1&id=2&x=%C3%BC&y=&%ff=1")

    assert request.parameter("id") == "2"
    assert request.parameter("x") == "ü"
    assert request.parameter("y") == ""
    assert request.parameter("z") is None


def test_repeated_headers_are_joined() -> None:
    request = make_request(headers=[(b"Accept", b"a"), (b"accept", b"b")])

    assert request.headers == {"accept": "a, b"}


def test_a_preflight_that_asks_for_no_header_is_told_the_usual_ones() -> None:
    """Check 14."""
    assert "authorization" in preflight(make_request()).headers["access-control-allow-headers"]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://h.test:8080", True),
        ("https://H.test:8080", True),
        ("http://h.test", False),
        ("http://evil.test:8080", False),
        ("null", False),
        ("", False),
    ],
)
def test_by_default_only_pages_of_this_host_may_call(origin: str, allowed: bool) -> None:
    assert same_host(origin, {"host": "h.test:8080"}) is allowed


def test_without_a_host_header_no_page_may_call() -> None:
    assert not same_host("null", {})
