from __future__ import annotations

from typing import Any

import azure.functions as func
import pytest

from streamsink.core.errors import InvalidRequestError
from streamsink.hosts.functions.requests import base_url, is_https, neutral_request, response_to
from streamsink.hosts.http import Reply

KEY = "k" * 40


def request(url: str = "https://app.example.com/api/x", **more: Any) -> func.HttpRequest:
    return func.HttpRequest(**{"method": "get", "url": url, "body": b"", **more})


def test_a_request_is_the_same_as_on_every_host() -> None:
    """The platform leaves empty values out of its parameters, and joins several: the URL has them."""
    neutral = neutral_request(
        request(
            "https://app.example.com/api/agent/a%20b?empty=&twice=1&twice=2",
            headers={"X-User": "ann", "Cookie": 'a=1; b="2"; c=%7E; =x; d'},
        )
    )

    assert (neutral.method, neutral.path) == ("GET", "/api/agent/a b")
    assert neutral.query == {"empty": "", "twice": "2"}
    assert neutral.headers["x-user"] == "ann"
    assert neutral.cookies == {"a": "1", "b": "2", "c": "~", "d": ""}


@pytest.mark.parametrize(
    ("headers", "url", "shown"),
    [
        ({"x-functions-key": KEY}, "https://h/api/x", KEY),
        ({}, f"https://h/api/x?code={KEY}", KEY),
        ({"x-functions-key": "w" * 40}, "https://h/api/x", None),
        ({"x-functions-key": "größe"}, "https://h/api/x", None),
        ({"x-functions-key": KEY, "x-stream-service-key": "other"}, "https://h/api/x", "other"),
        ({}, "https://h/api/x", None),
    ],
)
def test_a_function_key_may_be_a_service_key(headers: dict[str, str], url: str, shown: str | None) -> None:
    neutral = neutral_request(request(url, headers=headers), [KEY, "l" * 40])

    assert neutral.headers.get("x-stream-service-key") == shown


def test_clients_reach_us_where_they_did() -> None:
    assert base_url(request(), None) == "https://app.example.com"
    assert base_url(request(), "https://public.example.com/x") == "https://public.example.com/x"
    with pytest.raises(InvalidRequestError):
        base_url(request("https://a b/api/x"), None)


@pytest.mark.parametrize(
    ("url", "headers", "https"),
    [
        ("https://h/", {}, True),
        ("http://h/", {}, False),
        ("http://h/", {"x-forwarded-proto": "https,http"}, True),
        ("https://h/", {"x-forwarded-proto": "http"}, False),
    ],
)
def test_the_platform_says_whether_it_was_https(url: str, headers: dict[str, str], https: bool) -> None:
    assert is_https(neutral_request(request(url, headers=headers))) is https


def test_a_response_has_every_cookie_and_each_header_once() -> None:
    """The platform sends the last one of a name, but for cookies."""
    headers = (("vary", "Origin"), ("set-cookie", "a=1"), ("vary", "Cookie"), ("set-cookie", "b=2"))
    response = response_to("GET", Reply(status=201, body=b"x", headers=headers))

    assert (response.status_code, response.get_body()) == (201, b"x")
    assert response.headers["vary"] == "Origin, Cookie"
    assert response.headers.getlist("set-cookie") == ["a=1", "b=2"]


def test_head_has_no_body() -> None:
    assert response_to("HEAD", Reply(body=b"x")).get_body() == b""
