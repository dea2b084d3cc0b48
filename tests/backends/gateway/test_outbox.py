"""The sending side of an ASGI WebSocket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.backends.gateway.frame import Frame, binary_frame, text_frame
from streamsink.backends.gateway.frame_queue import MAX_JOINED_BYTES
from streamsink.backends.gateway.outbox import Outbox

from .support import settle

if TYPE_CHECKING:
    from collections.abc import MutableMapping


class Server:
    """An ASGI server that takes messages one by one, when allowed."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.failure: Exception | None = None

    async def send(self, message: MutableMapping[str, Any]) -> None:
        await self.may_send.wait()
        if self.failure is not None:
            raise self.failure
        self.sent.append(message.get("text", message.get("bytes", message["type"])))


def text(content: str, *, is_mergeable: bool = True) -> Frame:
    return text_frame(content.encode(), is_mergeable=is_mergeable)


async def send_all(*frames: Frame) -> list[Any]:
    outbox, server = Outbox(), Server()
    for frame in frames:
        outbox.put(frame)
    outbox.finish()
    outbox.put(text("late"))
    await outbox.run(server.send)
    assert outbox.buffered_bytes == 0
    return server.sent


async def test_what_waits_goes_out_together_and_then_the_close() -> None:
    assert await send_all(text("a"), text("b"), text("ü")) == ["abü", "websocket.close"]


async def test_frames_of_different_kinds_are_not_joined() -> None:
    binary = [binary_frame(content) for content in (b"x", b"y")]

    sent = await send_all(text("{}", is_mergeable=False), text("a"), *binary, text("b"))

    assert sent == ["{}", "a", b"xy", "b", "websocket.close"]


async def test_joined_frames_are_bounded() -> None:
    half = "x" * (MAX_JOINED_BYTES // 2)

    sent = await send_all(text(half), text(half), text("a"), text(half * 3), text("b"))

    assert [len(message) for message in sent[:-1]] == [len(half) * 2, 1, len(half) * 3, 1]


async def test_bytes_count_until_the_server_has_taken_them() -> None:
    outbox, server = Outbox(), Server()
    server.may_send.clear()
    task = asyncio.create_task(outbox.run(server.send))
    outbox.put(text("abc"))
    await settle()
    outbox.put(text("de"))
    assert outbox.buffered_bytes == 5

    outbox.discard()
    assert outbox.buffered_bytes == 3
    server.may_send.set()
    await settle()

    assert (outbox.buffered_bytes, server.sent) == (0, ["abc"])
    outbox.finish()
    await task


@pytest.mark.parametrize("failure", [OSError(), RuntimeError()])
async def test_it_ends_when_the_client_is_gone(failure: Exception) -> None:
    outbox, server = Outbox(), Server()
    server.failure = failure
    outbox.put(text("a"))

    await outbox.run(server.send)
    outbox.put(text("b"))

    assert server.sent == []


async def test_other_failures_are_not_hidden() -> None:
    outbox, server = Outbox(), Server()
    server.failure = ValueError("bug")
    outbox.put(text("a"))

    with pytest.raises(ValueError, match="bug"):
        await outbox.run(server.send)
