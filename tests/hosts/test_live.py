"""A thread as server-sent events."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.core.delivery import Subscribes
from streamsink.core.errors import UnavailableError
from streamsink.core.replay import write_snapshot
from streamsink.core.runs import RunRequest
from streamsink.hosts.live import follow
from streamsink.testing.clock import virtual_time

from .attempt_support import T, memory_sink

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from streamsink.core.sink import StreamSink


def live(sink: StreamSink, after: str = "") -> AsyncGenerator[bytes, None]:
    source = sink.ability(Subscribes)
    assert source is not None
    return follow(sink, source, T, after)


async def parts(stream: AsyncIterator[bytes], count: int) -> list[dict[str, str]]:
    """So many parts, each as its fields."""
    found = []
    for _ in range(count):
        part = (await anext(stream)).decode()
        assert part.endswith("\n\n")
        found.append(dict(line.split(": ", 1) for line in part.strip("\n").split("\n")))
    return found


def names(found: list[dict[str, str]]) -> list[str]:
    return [part["event"] for part in found]


@virtual_time
async def test_what_was_missed_comes_first_and_then_what_happens() -> None:
    async with memory_sink() as sink:
        run = sink.run(T)
        await run.begin()
        run.text("One")
        await asyncio.sleep(1)
        stream = live(sink)

        assert names(await parts(stream, 2)) == ["agentStarted", "agentMessage"]
        run.text(" two")
        [later] = await parts(stream, 1)
        assert json.loads(later["data"])["text"] == " two"
        await run.finish()
        [done] = await parts(stream, 1)
        assert (done["event"], done["id"]) == ("agentDone", f"{json.loads(done['data'])['epoch']}:4")
        await stream.aclose()


@virtual_time
async def test_a_stream_resumes_after_the_last_id() -> None:
    """Each event once and in order, wherever it was cut."""
    async with memory_sink() as sink:
        run = sink.run(T)
        await run.begin()
        for word in ("a", "b", "c"):
            run.text(word)
            await asyncio.sleep(1)
        seen: list[dict[str, str]] = []
        for _ in range(4):
            stream = live(sink, seen[-1]["id"] if seen else "")
            seen += await parts(stream, 1)
            await stream.aclose()

        assert [part["id"].rpartition(":")[2] for part in seen] == ["1", "2", "3", "4"]
        await run.finish()


@virtual_time
async def test_a_snapshot_comes_as_an_event_of_its_own() -> None:
    """With the place that it is good for as its id, while events follow."""
    async with memory_sink() as sink:
        await sink.publish(T, ["One"])
        stream = live(sink)
        [whole] = await parts(stream, 1)
        await stream.aclose()
        told = json.loads(whole["data"])
        assert (whole["event"], whole["id"]) == ("replay", told["cursor"])
        assert told["snapshot"]["runs"][0]["status"] == "completed"
        run = sink.run(T)
        await run.begin()
        await asyncio.sleep(1)

        stream = live(sink)
        first, second = await parts(stream, 2)
        assert (first["event"], second["event"]) == ("replay", "agentStarted")
        assert int(first["id"].rpartition(":")[2]) + 1 == int(second["id"].rpartition(":")[2])
        await stream.aclose()
        await run.finish()


@virtual_time
async def test_a_place_that_is_gone_begins_again() -> None:
    async with memory_sink() as sink:
        run = sink.run(T)
        await run.begin()
        await asyncio.sleep(1)
        stream = live(sink, "1:7")

        reset, event = await parts(stream, 2)

        assert json.loads(reset["data"])["reset"] is True
        assert event["event"] == "agentStarted"
        await stream.aclose()
        await run.finish()


@virtual_time
async def test_silence_is_filled_with_comments() -> None:
    """Proxies close what is silent; the reader is also who notices that a producer has died."""
    async with memory_sink(lease_s=10) as sink:
        stream = live(sink)
        assert await anext(stream) == b": \n\n"
        assert asyncio.get_running_loop().time() == 15

        await sink.accept_run(T, RunRequest(correlation_id="r", agent_name="a"))
        await sink.begin_attempt(T, "r", lease_s=5)
        found = [await anext(stream) for _ in range(2)]
        assert b"producer_lost" in found[1] or b"producer_lost" in await anext(stream)
        await stream.aclose()


@virtual_time
async def test_an_event_that_was_read_is_not_told_again() -> None:
    """It may come by the subscription after the timeline has said it; a hole is filled by reading."""
    async with memory_sink() as sink:
        run = sink.run(T)
        await run.begin()
        await asyncio.sleep(1)
        stream = live(sink)
        await parts(stream, 1)
        page = await sink.read(T, None, limit=9, max_bytes=9_999)
        await sink.deliver(T, page.events)  # once more
        for word in ("x", "y"):
            run.text(word)
            await asyncio.sleep(1)

        told = await parts(stream, 2)

        assert [json.loads(part["data"])["text"] for part in told] == ["x", "y"]
        await stream.aclose()
        await run.finish()


@virtual_time
async def test_a_hole_is_filled_from_the_timeline(monkeypatch: pytest.MonkeyPatch) -> None:
    async with memory_sink() as sink:
        run = sink.run(T)
        await run.begin()
        await asyncio.sleep(1)
        stream = live(sink)
        await parts(stream, 1)
        delivery: Any = sink.ability(Subscribes)
        deliver = delivery.hub.publish
        monkeypatch.setattr(delivery.hub, "publish", lambda *args: None)
        run.text("lost")
        await asyncio.sleep(1)
        monkeypatch.setattr(delivery.hub, "publish", deliver)
        run.text(" and found")
        await asyncio.sleep(1)

        told = await parts(stream, 2)

        assert "".join(json.loads(part["data"])["text"] for part in told) == "lost and found"
        await stream.aclose()
        await run.finish()


@pytest.mark.parametrize("how", ["deleted", "stopped", "overrun", "unreachable"])
@virtual_time
async def test_a_stream_that_cannot_go_on_ends(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In peace: the reader comes back with the last id, and is told then what is wrong."""
    async with memory_sink() as sink:
        run = sink.run(T)
        await run.begin()
        await asyncio.sleep(1)
        stream = live(sink)
        await parts(stream, 1)
        delivery: Any = sink.ability(Subscribes)
        if how == "deleted":
            await sink.delete(T)
        elif how == "stopped":
            await delivery.drain()
        elif how == "overrun":
            for n in range(1_100):
                run.emit("n", n)
            await asyncio.sleep(1)
        else:

            async def broken(*args: Any, **kwargs: Any) -> Any:
                raise UnavailableError("the store is down")

            monkeypatch.setattr(sink, "read", broken)

        assert len([part async for part in stream if part != b": \n\n"]) in (0, 1_000)
        monkeypatch.undo()


@virtual_time
async def test_a_long_history_comes_in_pages() -> None:
    async with memory_sink(snapshot_every=10**6) as sink:
        run = sink.run(T)
        await run.begin()
        for n in range(2_500):
            run.emit("n", n)
            if n % 100 == 0:
                await asyncio.sleep(1)
        await asyncio.sleep(1)
        stream = live(sink)

        told = await parts(stream, 2_501)

        assert [json.loads(part["data"]).get("data") for part in told] == [None, *range(2_500)]
        await stream.aclose()
        await run.finish()
        assert await write_snapshot(sink, T) is False
