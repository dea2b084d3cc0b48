"""Replies as Starlette's responses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from streamsink.hosts.http import Reply
from streamsink.hosts.replies import response_to
from streamsink.testing.clock import virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, MutableMapping


def native(method: str = "GET", spec_version: str = "2.3") -> Request:
    asgi = {"version": "3.0", "spec_version": spec_version}
    return Request({"type": "http", "method": method, "path": "/", "headers": [], "asgi": asgi})


class Feed:
    """A stream that says when it has been closed."""

    def __init__(self) -> None:
        self.closed = False

    async def parts(self) -> AsyncGenerator[bytes, None]:
        try:
            for number in range(1_000_000):
                yield b"%d" % number
                await asyncio.sleep(1)
        finally:
            self.closed = True


def test_headers_keep_their_order_and_may_be_repeated() -> None:
    reply = Reply(status=201, body=b"x", headers=(("content-type", "a/b"), ("set-cookie", "1"), ("set-cookie", "2")))

    response = response_to(native(), reply)

    assert (response.status_code, response.body) == (201, b"x")
    assert response.headers.getlist("set-cookie") == ["1", "2"]
    assert response.headers.getlist("content-type") == ["a/b"]


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
@virtual_time
async def test_a_stream_is_closed_when_its_reader_leaves(spec_version: str) -> None:
    """The server says so by a message, or by an error of send; and nothing is raised."""
    feed, sent = Feed(), 0
    request = native(spec_version=spec_version)
    response = response_to(request, Reply(stream=feed.parts()))

    async def receive() -> Any:
        await asyncio.sleep(5)
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal sent
        sent += 1
        if spec_version == "2.4" and sent > 5:
            raise OSError

    await response(request.scope, receive, send)

    assert feed.closed
    assert 5 <= sent <= 7


@virtual_time
async def test_a_stream_is_closed_when_its_reader_takes_nothing() -> None:
    feed = Feed()
    response = response_to(native(), Reply(stream=feed.parts()))

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def receive() -> Any:
        await asyncio.sleep(5)
        return {"type": "http.disconnect"}

    await response(native().scope, receive, send)

    assert feed.closed


async def test_head_gets_no_stream() -> None:
    feed = Feed()

    response = response_to(native("HEAD"), Reply(stream=feed.parts(), headers=(("content-type", "text/event-stream"),)))

    assert response.body == b""
    assert response.headers["content-type"] == "text/event-stream"
