"""Publishing without an event loop: real threads, and a loop of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.backends.memory.timeline import MemoryTimeline
from streamsink.core.composed import ComposedSink
from streamsink.core.errors import InvalidRequestError, UnavailableError
from streamsink.core.events import Terminal
from streamsink.core.options import PublishOptions
from streamsink.core.publishing import current_run
from streamsink.sync import SyncSink
from streamsink.testing.checking import expect
from tests.support.worlds import RecordingDelivery

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from streamsink.core.sink import StreamSink


class Maker:
    """Makes sinks and keeps what they deliver."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self.delivery: RecordingDelivery | None = None
        self.sink: ComposedSink | None = None

    def __call__(self) -> StreamSink:
        self.delivery = RecordingDelivery()
        self.sink = ComposedSink(MemoryTimeline(), self.delivery, options=PublishOptions(**self._options))
        return self.sink

    def targets(self, thread: str = "t") -> list[str]:
        assert self.delivery is not None
        return [event.target for event in self.delivery.events.get(thread, ())]


@pytest.fixture
def maker() -> Maker:
    return Maker()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "streamsink"]


def test_a_run_is_published_and_the_thread_ends(maker: Maker) -> None:
    with SyncSink(maker) as sink:
        with sink.run("t", agent="planner", message="hello") as run:
            run.text("Hello")
            run.emit("progress", 1)
        assert run.terminal == Terminal("completed")

    assert maker.targets() == ["userMessage", "agentStarted", "agentMessage", "agentCustom", "agentDone"]
    assert maker.delivery is not None
    assert maker.delivery.closed == 1
    assert threads() == []


def test_what_the_body_raises_goes_on_after_the_terminal(maker: Maker) -> None:
    with SyncSink(maker) as sink, pytest.raises(ZeroDivisionError), sink.run("t") as run:
        raise ZeroDivisionError

    assert run.terminal == Terminal("failed", "agent_error")


def test_a_stream_is_published(maker: Maker) -> None:
    with SyncSink(maker) as sink:
        assert sink.publish("t", (word for word in "abc"), message="hello") == Terminal("completed")

    assert maker.targets()[-1] == "agentDone"


def test_a_stream_stops_when_the_run_should_end() -> None:
    maker = Maker(window_s=0.0)
    said: list[str] = []

    def source(sink: SyncSink) -> Iterator[str]:
        assert maker.sink is not None
        sink._call(maker.sink.cancel("t"))
        while True:
            said.append("x")
            yield "x"
            sink._call(asyncio.sleep(0.001))

    with SyncSink(maker) as sink:
        assert sink.publish("t", source(sink)) == Terminal("cancelled")

    assert len(said) < 1_000


async def coroutine() -> None:
    """As ``agent.run(…)`` without ``stream=True`` is."""


async def stream() -> AsyncIterator[str]:
    """As ``agent.run(…, stream=True)`` is."""
    yield "x"


@pytest.mark.parametrize(
    ("make", "kind"),
    [(coroutine, "coroutine"), (stream, "async_generator"), (lambda: coroutine, "function"), (lambda: 5, "int")],
)
def test_what_is_not_read_with_a_plain_for_is_refused(maker: Maker, make: Callable[[], Any], kind: str) -> None:
    with SyncSink(maker) as sink, pytest.raises(InvalidRequestError, match=rf"of type {kind}: .*await sink\.publish"):
        sink.publish("t", make(), message="hello")

    assert maker.targets() == []


def test_several_threads_publish_at_once(maker: Maker) -> None:
    def work(sink: SyncSink, thread: str) -> None:
        with sink.run(thread) as run:
            for _ in range(50):
                run.text("x")

    with SyncSink(maker) as sink:
        workers = [threading.Thread(target=work, args=(sink, f"t{i}")) for i in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    assert [maker.targets(f"t{i}")[-1] for i in range(4)] == ["agentDone"] * 4


def test_a_sink_that_cannot_be_made_leaves_no_thread() -> None:
    def fail() -> StreamSink:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), SyncSink(fail):
        pass

    assert threads() == []


def test_outside_its_block_a_sink_is_not_open(maker: Maker) -> None:
    sink = SyncSink(maker)

    with pytest.raises(UnavailableError, match="with SyncSink"), sink.run("t"):
        pass
    with sink:
        pass
    with pytest.raises(UnavailableError, match="with SyncSink"), sink.run("t"):
        pass


def test_closing_while_a_run_is_open_tells_who_publishes_it(maker: Maker) -> None:
    sink = SyncSink(maker)
    with sink:
        run = sink.run("t")
        publisher = run.__enter__()
        publisher.text("half")
        sink.__exit__()
        with pytest.raises(UnavailableError):
            run.__exit__(None, None, None)

    assert threads() == []
    assert maker.targets().count("agentDone") == 0
    with pytest.raises(UnavailableError):
        publisher.text("more")


def test_closing_while_a_run_is_open_does_not_hide_what_its_body_raises(maker: Maker) -> None:
    sink = SyncSink(maker)
    sink.__enter__()

    with expect(ZeroDivisionError), sink.run("t"):
        sink.__exit__()
        raise ZeroDivisionError


def test_closing_ends_what_another_thread_waits_for(maker: Maker) -> None:
    told: list[BaseException] = []
    waiting = threading.Event()

    async def wait() -> None:
        waiting.set()
        await asyncio.Event().wait()

    def call() -> None:
        try:
            sink._call(wait())
        except UnavailableError as error:
            told.append(error)

    with SyncSink(maker) as sink:
        worker = threading.Thread(target=call)
        worker.start()
        waiting.wait()
    worker.join()

    assert len(told) == 1


def test_the_run_is_the_current_one_inside() -> None:
    with SyncSink(Maker()) as sink:
        with sink.run("t") as run:
            assert current_run() is run
        with expect(LookupError):
            current_run()
