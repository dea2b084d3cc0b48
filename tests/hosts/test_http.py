"""Requests and replies as values."""

from __future__ import annotations

import json

import pytest

from streamsink.core.errors import (
    BusyError,
    InvalidRequestError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from streamsink.core.identity import Request
from streamsink.hosts.http import Reply, error_reply, json_reply, read_json, wants


def test_json_is_kept_by_nobody() -> None:
    reply = json_reply({"a": 1}, 202)

    assert (reply.status, reply.body) == (202, b'{"a":1}')
    assert dict(reply.headers) == {"content-type": "application/json", "cache-control": "no-store"}


def test_every_error_has_one_shape() -> None:
    reply = error_reply(NotFoundError("no such thing"), thread_id="t")

    assert reply.status == 404
    assert json.loads(reply.body) == {"error": {"code": "not_found", "message": "no such thing"}, "thread_id": "t"}


@pytest.mark.parametrize(("wait_s", "header"), [(0.2, "1"), (1.0, "1"), (1.2, "2"), (59.5, "60")])
def test_a_busy_reply_says_when_to_come_back_and_never_too_early(wait_s: float, header: str) -> None:
    assert dict(error_reply(BusyError("busy", retry_after_s=wait_s)).headers)["retry-after"] == header


def test_so_does_one_that_a_dependency_has_told() -> None:
    assert dict(error_reply(UnavailableError("full", retry_after_s=7.0)).headers)["retry-after"] == "7"
    assert "retry-after" not in dict(error_reply(UnavailableError("away")).headers)


def test_an_unknown_caller_is_told_how_to_say_who_they_are() -> None:
    assert dict(error_reply(UnauthenticatedError("who?")).headers)["www-authenticate"] == "Bearer"


def test_headers_are_added() -> None:
    reply = Reply(status=204, headers=(("a", "1"),)).with_headers(("b", "2"))

    assert reply == Reply(status=204, headers=(("a", "1"), ("b", "2")))


def test_an_empty_body_is_an_empty_object() -> None:
    assert read_json(b"") == read_json(b" \n ") == {}
    assert read_json(b'{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize("body", [b"[]", b"1", b"{", b"\xff", b'{"a":"\xff"}', b"[" * 100_000, b'{"a":' * 100_000])
def test_every_other_body_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        read_json(body)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/event-stream", True),
        ("application/json, Text/Event-Stream;q=0.9", True),
        ("*/*", False),
        ("text/*", False),
        ("", False),
    ],
)
def test_a_stream_has_to_be_asked_for_by_name(accept: str, wanted: bool) -> None:
    request = Request(method="GET", path="/", headers={"accept": accept} if accept else {})

    assert wants(request, "text/event-stream") is wanted
