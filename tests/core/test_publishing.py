"""A run as its producer sees it: said without waiting, ended exactly once, however the body ends."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from streamsink.core.coalescer import Pacer
from streamsink.core.errors import (
    InvalidRequestError,
    RunClosedError,
    StaleAttemptError,
    StreamOverflowError,
    ThreadDeletedError,
    TooLargeError,
    UnavailableError,
)
from streamsink.core.events import Terminal
from streamsink.core.options import PublishOptions
from streamsink.core.publishing import RunPublisher, current_run
from streamsink.core.settings import Settings
from streamsink.core.sources import publish
from streamsink.testing.checking import conversation, expect, request, texts_of
from streamsink.testing.clock import virtual_time
from tests.support.turns import cancelled_at_turn
from tests.support.updates import Content, text, update
from tests.support.worlds import World, steps, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from streamsink.core.events import Event


def fail() -> None:
    raise ZeroDivisionError


def test_options_follow_the_settings() -> None:
    options = PublishOptions.from_settings(Settings(budget_per_s=10), window_s=0.11)

    assert options.window_s == 0.11
    assert PublishOptions.from_settings(Settings(window_ms=50), window_s=0.11).window_s == 0.05
    options.pacer.spend(0.0)
    assert options.pacer.next_at() == pytest.approx(0.1)


@virtual_time
async def test_a_run_has_its_message_its_start_its_text_and_its_end() -> None:
    async with world() as w:
        async with w.sink.run("t", agent="planner", message="hello \ud83d") as run:
            run.text("Hel")
            run.text("lo")
            run.emit("progress", {"percent": 50})
            run.update(update(Content("usage", usage_details={"out": 2})))

        events = await w.events()
        assert [event["target"] for event in events] == [
            "userMessage", "agentStarted", "agentMessage", "agentCustom", "agentDone",
        ]  # fmt: skip
        assert (events[0]["text"], events[0]["messageId"]) == ("hello \ufffd", "id-1-user")
        assert events[-1]["usage"] == {"out": 2}
        assert {event["agentName"] for event in events} == {"planner"}
        assert (run.correlation_id, run.attempt, run.terminal) == ("id-1", 1, Terminal("completed"))


@virtual_time
async def test_what_nobody_could_join_or_receive_is_not_published() -> None:
    async with world() as w:
        for thread in ("", "a/b", "x" * 10_000):
            with pytest.raises(InvalidRequestError, match="thread id"):
                w.sink.run(thread)
        with pytest.raises(TooLargeError):
            w.sink.run("t", message="x" * w.sink.options.max_event_bytes)


@virtual_time
async def test_without_a_message_there_is_none() -> None:
    async with world() as w:
        async with w.sink.run("t"):
            pass

        assert await w.targets() == ["agentStarted", "agentDone"]


BODIES = [
    (None, "completed", None),
    (ZeroDivisionError("a secret"), "failed", "agent_error"),
    (TimeoutError("a secret"), "failed", "agent_error"),
    (asyncio.CancelledError("a secret"), "failed", "shutdown"),
    (KeyboardInterrupt("a secret"), "failed", "shutdown"),
    (StreamOverflowError("a secret"), "failed", "stream_overflow"),
]


@pytest.mark.parametrize(("error", "status", "code"), BODIES)
def test_a_body_ends_in_one_terminal(error: BaseException | None, status: str, code: str | None) -> None:
    @virtual_time
    async def scenario() -> dict[str, Any]:
        async with world() as w:
            try:
                async with w.sink.run("t") as run:
                    run.text("half")
                    if error is not None:
                        raise error  # noqa: TRY301  it is the body's
            except BaseException as raised:
                assert raised is error  # noqa: PT017  goes on as it is
            assert await w.text() == "half"
            return await w.done()

    done = scenario()

    assert (done["status"], done.get("error", {}).get("code")) == (status, code)
    assert "a secret" not in str(done)


@virtual_time
async def test_a_body_that_stops_because_it_was_asked_to_is_cancelled() -> None:
    async with world() as w:
        with suppress(asyncio.CancelledError):
            async with w.sink.run("t") as run:
                run.text("half")
                await w.sink.cancel("t")
                run.text("…")
                await run.cancelled.wait()
                raise asyncio.CancelledError

        assert (await w.done())["status"] == "cancelled"


@virtual_time
async def test_a_body_that_completes_although_it_was_asked_to_stop_is_completed() -> None:
    async with world() as w:
        async with w.sink.run("t") as run:
            await w.sink.cancel("t")
            await steps()
            run.text("all of it")

        assert (await w.done())["status"] == "completed"


@virtual_time
async def test_the_first_end_counts() -> None:
    async with world() as w:
        async with w.sink.run("t") as run:
            first = await run.finish("failed", code="mine", message="sorry")
            second = await run.finish("completed")
            with pytest.raises(RunClosedError):
                run.text("too late")

        assert first is second is run.terminal
        assert not run.open
        assert (await w.done())["error"] == {"code": "mine", "message": "sorry"}


@virtual_time
async def test_of_two_ends_at_once_the_first_counts() -> None:
    async with world() as w, w.sink.run("t") as run:
        ends = await asyncio.gather(run.finish("failed", code="first"), run.finish("completed"))

        assert set(ends) == {Terminal("failed", "first")}
        assert (await w.done())["status"] == "failed"


@virtual_time
async def test_an_end_whose_caller_is_cancelled_is_written_all_the_same() -> None:
    async with world() as w:
        w.timeline.latency_s = 1.0
        run = w.sink.run("t")
        await run.begin()
        run.text("all of it")
        ending = asyncio.ensure_future(run.finish("completed"))
        await steps()
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending

        assert await run.finish("failed") == Terminal("completed")
        assert (await w.done())["status"] == "completed"


@pytest.mark.parametrize(
    ("final", "said"),
    [(None, None), ("Hello", None), ("Hello!", "Hello!"), ("", ""), ("\ud83d", "\ufffd")],
)
def test_the_final_text_is_said_when_it_differs(final: str | None, said: str | None) -> None:
    @virtual_time
    async def scenario() -> dict[str, Any]:
        async with world() as w:
            async with w.sink.run("t") as run:
                run.update(update(text("draft")))
                run.update(update(text("Hel"), merge_mode="replace"))
                run.update(update(text("lo")))
                await run.finish("completed", text=final, response=b"{}")
            stored = await w.sink.get_run("t", run.correlation_id)
            assert stored is not None
            assert stored.terminal == Terminal("completed", None, b"{}")
            return await w.done()

    assert scenario().get("text") == said


@virtual_time
async def test_a_run_that_is_over_is_not_executed_again() -> None:
    """Redelivery: the stored response is returned, the model is not called."""
    async with world() as w:
        asked: list[str] = []

        async def source() -> AsyncIterator[str]:
            asked.append("model")
            yield "x"

        async with w.sink.run("t", request=request("r1")) as run:
            await run.finish("completed", response=b"stored")
        async with w.sink.run("t", request=request("r1")) as again:
            assert again.terminal == Terminal("completed", None, b"stored")
            assert again.cancelled.is_set()
            assert not again.open
            with pytest.raises(RunClosedError):
                again.text("x")
        await w.sink.publish("u", source())

        assert (await w.targets()).count("agentDone") == 1
        assert asked == ["model"]


@virtual_time
async def test_publishing_a_run_that_is_over_does_not_begin_the_source() -> None:
    async with world() as w:
        async with w.sink.run("t", request=request("r1")) as run:
            run.text("x")
        asked: list[str] = []

        async def source() -> AsyncIterator[str]:
            asked.append("model")
            yield "y"

        terminal = await publish(w.sink.run("t", request=request("r1")), source())

        assert (terminal, asked) == (Terminal("completed"), [])


@virtual_time
async def test_a_key_that_names_an_earlier_request_publishes_that_one() -> None:
    async with world() as w:
        await w.sink.accept_run("t", request("r1", idempotency_key="k"))
        async with w.sink.run("t", request=request("r2", idempotency_key="k")) as run:
            run.text("x")

        assert run.correlation_id == "r1"
        assert {event["correlationId"] for event in await w.events()} == {"r1"}


@virtual_time
async def test_an_attempt_that_somebody_wants_to_end_says_so_at_once() -> None:
    async with world() as w:
        await w.sink.accept_run("t", request("r1", redelivery_s=60))
        await w.sink.begin_attempt("t", "r1", lease_s=30)
        await w.sink.cancel("t", "r1")
        async with w.sink.run("t", request=request("r1")) as run:
            assert run.cancelled.is_set()
            assert run.open

        assert run.attempt == 2


@virtual_time
async def test_outside_a_run_nothing_can_be_published() -> None:
    async with world() as w:
        run = w.sink.run("t")

        assert (run.open, run.attempt) == (False, 0)
        for say in (run.text, run.emit, run.update):
            with pytest.raises(RunClosedError, match="async with"):
                say("x")
        with pytest.raises(RunClosedError):
            await run.finish()


@virtual_time
async def test_the_current_run_is_the_innermost() -> None:
    async with world() as w:
        with pytest.raises(LookupError):
            current_run()
        async with w.sink.run("t") as outer:
            async with w.sink.run("u") as inner:
                assert current_run() is inner
                assert await asyncio.to_thread(current_run) is inner
            assert current_run() is outer
        with pytest.raises(LookupError):
            current_run()


@virtual_time
async def test_a_run_that_is_left_in_another_context_ends_too() -> None:
    """As a generator's body does, whose steps are taken by different tasks."""
    async with world() as w:
        run = w.sink.run("t")
        await asyncio.get_running_loop().create_task(_enter(run), context=contextvars.copy_context())

        await run.__aexit__(None, None, None)

        assert (await w.done())["status"] == "completed"


async def _enter(run: RunPublisher) -> None:
    await run.__aenter__()


@virtual_time
async def test_more_than_the_buffer_holds_ends_the_run() -> None:
    """Its terminal needs none of the buffer's room; what was taken is said."""
    async with world(max_buffer_bytes=2_000) as w:
        w.timeline.latency_s = 5.0
        with expect(StreamOverflowError):
            async with w.sink.run("t") as run:
                await steps()
                run.text("x" * 1_000)
                run.text("y" * 1_000)

        assert (await w.done())["error"]["code"] == "stream_overflow"
        assert await w.text() == "x" * 1_000


@virtual_time
async def test_an_overflow_that_the_body_ignores_still_ends_the_run() -> None:
    """The framework swallows what a callback raises."""
    async with world(max_buffer_bytes=1_000) as w:
        async with w.sink.run("t") as run:
            with pytest.raises(StreamOverflowError):
                run.text("x" * 2_000)
            with pytest.raises(StreamOverflowError):
                run.text("y")
            terminal = await run.finish("completed", text="x" * 2_000)

        assert terminal == Terminal("failed", "stream_overflow")
        assert (await w.done())["status"] == "failed"


@virtual_time
async def test_more_than_a_run_may_say_ends_it_although_it_was_all_sent() -> None:
    async with world(max_run_bytes=20_000, window_s=0.0) as w:
        with expect(StreamOverflowError):
            async with w.sink.run("t") as run:
                for _ in range(1_000):
                    run.text("x" * 1_000)
                    await steps()

        assert (await w.done())["error"]["code"] == "stream_overflow"
        assert 10_000 < len(await w.text()) < 20_000


@virtual_time
async def test_data_too_large_for_an_event_does_not_end_the_run() -> None:
    async with world(max_buffer_bytes=10_000, max_event_bytes=5_000) as w:
        async with w.sink.run("t") as run:
            run.emit("big", "x" * 1_000_000)

        (event,) = [event for event in await w.events() if event["target"] == "agentCustom"]
        assert event["data"] == {"omitted": 1_000_002}


async def test_any_thread_may_publish() -> None:
    """On a real loop: nothing is lost or doubled, each thread's order is kept, and what is not JSON is refused."""
    async with world(window_s=0.001) as w:
        async with w.sink.run("t") as run:

            def produce(name: str) -> None:
                for n in range(200):
                    run.emit(name, n)
                    run.update(update(text(f"{n},"), message_id=name))

            await asyncio.gather(*(asyncio.to_thread(produce, name) for name in "abcd"))

        events = await w.events()
        for name in "abcd":
            said = [event["data"] for event in events if event.get("name") == name]
            assert said == list(range(200))
            texts = [event["text"] for event in events if event.get("messageId") == name]
            assert "".join(texts) == "".join(f"{n}," for n in range(200))


async def test_a_thread_that_publishes_while_the_run_ends_is_told_or_heard() -> None:
    everything = 10**9  # however far a busy machine lets the thread run ahead
    async with world(window_s=0.001, max_buffer_bytes=everything, max_run_bytes=everything) as w:
        accepted = 0
        begun = threading.Event()

        def produce() -> None:
            nonlocal accepted
            while True:
                try:
                    run.text("x")
                except RunClosedError:
                    return
                accepted += 1
                begun.set()

        async with w.sink.run("t") as run:
            producing = asyncio.create_task(asyncio.to_thread(produce))
            await asyncio.to_thread(begun.wait)
        await producing

        assert await w.text() == "x" * accepted


@virtual_time
async def test_a_store_that_stays_away_fails_the_run_visibly() -> None:
    async with world(give_up_s=10.0, lease_s=30.0) as w:
        with expect(UnavailableError):
            async with w.sink.run("t") as run:
                w.timeline.down = True
                run.text("x")
                await run.cancelled.wait()
                with pytest.raises(UnavailableError):
                    run.text("y")
        assert asyncio.get_running_loop().time() == pytest.approx(10, abs=2)
        w.timeline.down = False
        await asyncio.sleep(60)

        assert (await w.done())["error"]["code"] == "producer_lost"


@virtual_time
async def test_what_the_body_raised_is_not_hidden_by_a_store_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    async with world(give_up_s=1.0) as w:
        with expect(ZeroDivisionError):
            async with w.sink.run("t"):
                w.timeline.down = True
                fail()

    assert "the end of run id-1 was not written: UnavailableError" in caplog.messages


@virtual_time
async def test_a_newer_attempt_replaces_this_one() -> None:
    async with world() as w:
        async with w.sink.run("t", request=request("r1")) as old, w.sink.run("t", request=request("r1")) as new:
            old.text("old")
            await old.cancelled.wait()
            with pytest.raises(StaleAttemptError):
                old.text("more")
            new.text("new")

        assert (old.attempt, new.attempt) == (1, 2)
        assert texts_of(await conversation(w.sink, "t")) == ["new"]
        assert (await w.done())["attempt"] == 2


@virtual_time
async def test_a_run_that_was_ended_elsewhere_returns_that_end() -> None:
    async with world(lease_s=30.0, give_up_s=60.0) as w:
        async with w.sink.run("t") as run:
            await steps()
            w.timeline.down = True
            await asyncio.sleep(31)
            await w.sink.sweep("t")
            w.timeline.down = False
            run.text("I am back")
            await run.cancelled.wait()
            terminal = await run.finish("completed")

        assert terminal == Terminal("failed", "producer_lost")
        assert (await w.done())["error"]["code"] == "producer_lost"


@virtual_time
async def test_a_deleted_thread_ends_its_runs() -> None:
    async with world() as w:
        with expect(ThreadDeletedError):
            async with w.sink.run("t") as run:
                await w.sink.delete("t")
                run.text("x")
                await run.cancelled.wait()

        assert await w.events() == []


@virtual_time
async def test_a_whole_stream_is_published() -> None:
    async with world(window_s=0.0) as w:

        async def source() -> AsyncIterator[Any]:
            yield "Hel"
            yield update(text("lo"), message_id=None)

        async_end = await w.sink.publish("t", source(), message="hi")
        sync_end = await w.sink.publish("u", iter(["Hel", "lo"]), agent="planner")

        assert (async_end, sync_end) == (Terminal("completed"), Terminal("completed"))
        assert await w.text("t") == await w.text("u") == "Hello"


@virtual_time
async def test_a_plain_iterator_lets_the_loop_send() -> None:
    async with world(window_s=0.0) as w:
        seen: list[int] = []

        def source() -> Any:
            for _ in range(50):
                seen.append(len(w.timeline.batches))
                yield "x"

        await w.sink.publish("t", source())

        assert seen[-1] > 10


@virtual_time
async def test_what_a_source_raises_goes_on_after_the_terminal() -> None:
    async with world() as w:

        async def source() -> AsyncIterator[str]:
            yield "half"
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await w.sink.publish("t", source())

        assert ((await w.done())["error"]["code"], await w.text()) == ("agent_error", "half")


class Stream:
    """An agent's stream that waits after its first update and can only be closed by name."""

    def __init__(self, closing: str | None) -> None:
        self.closed = 0
        self._given = False
        if closing is not None:
            setattr(self, closing, self._close)

    async def _close(self) -> None:
        self.closed += 1

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> str:
        if self._given:
            await asyncio.Event().wait()
        self._given = True
        return "beginning"


@pytest.mark.parametrize(("closing", "closed"), [("aclose", 1), ("close", 1), (None, 0)])
def test_a_source_that_should_end_is_stopped_and_closed(closing: str | None, closed: int) -> None:
    @virtual_time
    async def scenario() -> Stream:
        async with world(lease_s=30.0) as w:
            stream = Stream(closing)
            publishing = asyncio.ensure_future(w.sink.publish("t", stream))
            await steps()
            await w.sink.cancel("t")

            assert await publishing == Terminal("cancelled")  # heard at the next renewal
            assert (await w.done())["status"] == "cancelled"
            assert await w.text() == "beginning"
            return stream

    assert scenario().closed == closed


class Remembered(Stream):
    """An agent's stream that keeps what it has said when it is asked for its final response."""

    def __init__(self) -> None:
        super().__init__("close")
        self.kept_after_closing: list[int] = []

    async def get_final_response(self) -> None:
        self.kept_after_closing.append(self.closed)


@virtual_time
async def test_what_a_cancelled_agent_has_said_is_kept_in_its_history() -> None:
    async with world() as w:
        cancelled, failed = Remembered(), Remembered()
        publishing = asyncio.ensure_future(w.sink.publish("t", cancelled))
        await steps()
        await w.sink.cancel("t")
        assert await publishing == Terminal("cancelled")
        publishing = asyncio.ensure_future(w.sink.publish("u", failed))
        await steps()
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing

        assert (cancelled.kept_after_closing, failed.kept_after_closing) == ([1], [])


@virtual_time
async def test_an_answer_that_does_not_stream_is_refused_before_its_run() -> None:
    """As of ``agent.run(…)``, which waits to be awaited."""

    async def run() -> str:
        return "whole"

    async with world() as w:
        answers: list[Any] = [run(), 17]
        for answer in answers:
            with pytest.raises(InvalidRequestError, match="stream=True"):
                await w.sink.publish("t", answer)

        assert await w.events() == []


@virtual_time
async def test_a_generator_that_is_not_read_to_its_end_is_closed() -> None:
    async with world(max_buffer_bytes=1_000) as w:
        closed: list[str] = []

        async def source() -> AsyncIterator[str]:
            try:
                yield "x" * 10_000
            finally:
                closed.append("source")

        with pytest.raises(StreamOverflowError):
            await w.sink.publish("t", source())

        assert closed == ["source"]


@virtual_time
async def test_closing_the_sink_tells_a_publisher_that_waits() -> None:
    async with world() as w:
        stream = Stream("aclose")
        publishing = asyncio.ensure_future(w.sink.publish("t", stream))
        await steps()

        await w.sink.aclose()

        with pytest.raises(UnavailableError):
            await publishing
        assert stream.closed == 1


@virtual_time
async def test_closing_before_anything_was_sent_tells_the_publisher_too() -> None:
    async with world() as w:
        run = w.sink.run("t")
        await run.begin()
        await w.sink.aclose()

        assert not run.open
        with pytest.raises(UnavailableError):
            await run.finish()


@virtual_time
async def test_a_publisher_that_is_dropped_leaves_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    async with world(give_up_s=1.0) as w:
        reports: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        run = w.sink.run("t")
        await run.begin()
        w.timeline.down = True
        run.text("x")
        await asyncio.sleep(10)
        del run

    assert reports == []
    assert "run id-1 was left open: UnavailableError" in caplog.messages


@virtual_time
async def test_a_budget_is_shared_by_all_runs() -> None:
    async with world(pacer=Pacer(1.0), window_s=0.0, lease_s=600.0) as w:
        async with w.sink.run("t") as one, w.sink.run("u") as two:
            for _ in range(10):
                one.text("x")
                two.text("y")
                await asyncio.sleep(1)

        sent = sum(len(batch.records) for at, batch in w.timeline.batches if at < 10)
        assert 8 <= sent <= 12


@pytest.mark.parametrize("lost_replies", [0, 2])
@pytest.mark.parametrize("failures", [0, 2])
def test_cancelled_at_any_turn_a_run_loses_nothing_and_leaves_nothing(lost_replies: int, failures: int) -> None:
    """Even when its sink is closed at once: whatever was taken is there, with one terminal."""
    for turn in range(1, 1_000):
        said: list[str] = []
        left: dict[str, Sequence[Event]] = {}

        async def scenario(said: list[str] = said, left: dict[str, Sequence[Event]] = left) -> None:
            w = World(PublishOptions())
            w.timeline.left = left
            w.timeline.lost_replies, w.delivery.failures = lost_replies, failures
            async with w.sink, w.sink.run("t", message="hello") as run:
                for word in "abc":
                    run.text(word)
                    said.append(word)
                    await asyncio.sleep(0.02)
                run.emit("progress", 1)

        completed = cancelled_at_turn(scenario, turn)

        events = left.get("t", ())
        ends = [event.target for event in events].count("agentDone")
        texts = [msgspec.json.decode(event.json)["text"] for event in events if event.target == "agentMessage"]
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert ends == (1 if said else min(ends, 1))
        assert "".join(texts) == "".join(said)
        if completed:
            return
    raise AssertionError("the scenario does not end")


def test_nothing_said_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "streamsink")

    @virtual_time
    async def scenario() -> None:
        async with world(give_up_s=1.0) as w:
            with expect(ZeroDivisionError):
                async with w.sink.run("t", message="a prompt") as run:
                    run.text("an answer")
                    w.timeline.down = True
                    raise ZeroDivisionError("a secret")

    scenario()
    assert caplog.messages
    assert not any(word in caplog.text for word in ("a prompt", "an answer", "a secret"))
