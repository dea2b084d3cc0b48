"""What hosts and publishers hold; publishing itself is tested in ``test_publishing``."""

from __future__ import annotations

import pytest

from streamsink.core.errors import UnavailableError
from streamsink.core.events import Terminal
from streamsink.core.options import PublishOptions
from streamsink.core.sink import StreamSink
from streamsink.testing.checking import request
from streamsink.testing.clock import virtual_time
from tests.support.worlds import World, world


def test_what_does_not_keep_the_contract_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        StreamSink()  # type: ignore[abstract]


@virtual_time
async def test_a_sink_closes_itself() -> None:
    made = World(PublishOptions())
    async with made.sink as sink:
        await sink.check()

    with pytest.raises(UnavailableError):
        await made.sink.check()


@virtual_time
async def test_a_run_is_described_or_given() -> None:
    async with world() as w:
        described = w.sink.run("t", agent="planner", message="hello")
        given = w.sink.run("t", request=request("r1"))

        assert (described.correlation_id, given.correlation_id) == ("id-1", "r1")
        assert described.thread == given.thread == "t"


@virtual_time
async def test_a_stream_is_published_as_one_run() -> None:
    async with world() as w:
        assert await w.sink.publish("t", ["a", "b"], agent="planner", message="hello") == Terminal("completed")

        assert await w.targets() == ["userMessage", "agentStarted", "agentMessage", "agentDone"]
        assert {event["agentName"] for event in await w.events()} == {"planner"}


@virtual_time
async def test_a_sink_that_delivers_at_once_has_nothing_to_flush() -> None:
    async with world() as w:
        assert await StreamSink.flush(w.sink, "t", timeout_s=0)
