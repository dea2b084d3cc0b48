"""One run's way to its sink: when it sends, what it survives, and that it tells when it cannot go on."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.backends.process.runs import RunTable
from streamsink.core.cursor import Cursor
from streamsink.core.errors import (
    BusyError,
    InvalidRequestError,
    StaleAttemptError,
    StreamOverflowError,
    UnavailableError,
)
from streamsink.core.events import Terminal
from streamsink.testing.checking import conversation, expect, request, texts_of
from streamsink.testing.clock import virtual_time
from tests.support.worlds import World, steps, world

if TYPE_CHECKING:
    from streamsink.core.runs import Batch


def now() -> float:
    return asyncio.get_running_loop().time()


def sent_at(w: World) -> list[float]:
    return [round(at, 3) for at, _ in w.timeline.batches]


@virtual_time
async def test_the_first_text_leaves_at_once_and_later_text_once_per_window() -> None:
    async with world(window_s=0.1) as w:
        async with w.sink.run("t") as run:
            await asyncio.sleep(0.01)
            for _ in range(10):
                run.text("x")
                await asyncio.sleep(0.03)

        assert sent_at(w) == [0, 0.01, 0.11, 0.21, 0.31]
        assert await w.text() == "x" * 10


@virtual_time
async def test_text_after_a_silence_waits_for_nothing() -> None:
    async with world(window_s=0.1) as w, w.sink.run("t") as run:
        run.text("x")
        await asyncio.sleep(5)
        run.text("y")
        await steps()

        assert sent_at(w) == [0, 5]


@virtual_time
async def test_data_does_not_wait_for_the_window() -> None:
    async with world(window_s=0.1) as w, w.sink.run("t") as run:
        run.text("x")
        await asyncio.sleep(0.01)
        run.text("y")
        run.emit("progress", 1)
        await steps()

        assert sent_at(w) == [0, 0.01]
        assert (await w.targets())[-2:] == ["agentMessage", "agentCustom"]


@virtual_time
async def test_one_batch_is_in_flight_at_a_time_and_the_rest_merges_meanwhile() -> None:
    async with world(window_s=0.1) as w:
        w.timeline.latency_s = 1.0
        async with w.sink.run("t") as run:
            for _ in range(40):
                run.text("x")
                await asyncio.sleep(0.1)

        assert sent_at(w)[:4] == [0, 1, 2, 3]
        assert len([target for target in await w.targets() if target == "agentMessage"]) <= 5
        assert await w.text() == "x" * 40


@virtual_time
async def test_a_large_piece_of_work_goes_in_bounded_batches() -> None:
    async with world() as w:
        async with w.sink.run("t") as run:
            for letter in "abc":
                run.text(letter * 200_000)
            await run.finish("completed", text="other" * 10)

        sizes = [sum(len(record.body) for record in batch.records) for _, batch in w.timeline.batches]
        assert len(sizes) > 2
        assert max(sizes) <= 262_144
        assert len(await w.text()) == 600_000
        assert [batch.terminal is not None for _, batch in w.timeline.batches] == [False] * (len(sizes) - 1) + [True]


@virtual_time
async def test_everything_said_is_bounded_and_the_end_needs_no_room() -> None:
    async with world(max_run_bytes=5_000) as w:
        with expect(StreamOverflowError):
            async with w.sink.run("t") as run:
                for _ in range(100):
                    run.emit("n", "x" * 500)
                    await steps()

        assert (await w.done())["error"]["code"] == "stream_overflow"
        assert 3 < (await w.targets()).count("agentCustom") < 10


@virtual_time
async def test_of_two_ends_the_first_is_sent() -> None:
    async with world() as w, w.sink.run("t") as run:
        ends = await asyncio.gather(run.finish("failed", code="first"), run.finish("completed"))

        assert set(ends) == {Terminal("failed", "first")}


@virtual_time
async def test_a_silent_run_keeps_its_lease() -> None:
    async with world(lease_s=30.0) as w:
        async with w.sink.run("t") as run:
            for _ in range(20):
                await asyncio.sleep(29)
                assert await w.sink.sweep("t") == []
            run.text("still here")

        assert (await w.done())["status"] == "completed"


@pytest.mark.parametrize("speaks", [True, False])
def test_a_wish_to_end_is_heard_with_the_next_append_or_renewal(speaks: bool) -> None:
    @virtual_time
    async def heard_after() -> float:
        async with world(lease_s=30.0) as w, w.sink.run("t") as run:
            await steps()
            await w.timeline.cancel("t")
            if speaks:
                run.text("x")
            await run.cancelled.wait()
            run.text("may still be said")
            return now()

    assert heard_after() == pytest.approx(0 if speaks else 2)


@virtual_time
async def test_a_wish_to_end_through_the_same_sink_is_heard_at_once() -> None:
    async with world() as w, w.sink.run("t") as run:
        await steps()
        await w.sink.cancel("t", run.correlation_id)

        assert run.cancelled.is_set()
        assert now() == 0


@virtual_time
async def test_a_run_that_has_ended_hears_nothing_more() -> None:
    async with world() as w:
        async with w.sink.run("t") as run:
            pass
        await steps()
        w.sink.tell_cancelled("t", [run.correlation_id, "another"])

        assert not run.cancelled.is_set()


@virtual_time
async def test_a_lost_answer_is_asked_for_again() -> None:
    async with world() as w:
        w.timeline.lost_replies = 3
        async with w.sink.run("t") as run:
            run.text("once")

        assert await w.text() == "once"
        assert (await w.targets()).count("agentDone") == 1
        assert [batch.first_n for _, batch in w.timeline.batches][:4] == [1, 1, 1, 1]


@virtual_time
async def test_a_store_that_comes_back_in_time_was_never_away() -> None:
    async with world(give_up_s=30.0, lease_s=60.0) as w:
        async with w.sink.run("t") as run:
            run.text("a")
            await steps()
            w.timeline.down = True
            run.text("b")
            await asyncio.sleep(25)
            w.timeline.down = False
            run.text("c")

        assert await w.text() == "abc"
        waits = [later - at for at, later in zip(sent_at(w)[1:], sent_at(w)[2:], strict=False)]
        assert max(waits) == pytest.approx(2.0)
        assert 10 < len(waits) < 30


async def _lose(w: World, run_too: bool = False) -> None:
    """The store falls back to just after the user's message."""
    log = w.timeline.log("t")
    log.forget_after(Cursor(int((await w.events())[0]["epoch"]), 1))
    if run_too:
        log.runs = RunTable()


@pytest.mark.parametrize("run_too", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_a_run_that_the_store_lost_is_said_again(run_too: bool, ends: bool) -> None:
    @virtual_time
    async def scenario() -> None:
        async with world(window_s=0.0) as w:
            async with w.sink.run("t", message="hello") as run:
                run.text("one ")
                run.emit("progress", {"percent": 50})
                await steps()
                run.text("two ")
                await steps()
                await _lose(w, run_too)
                if not ends:
                    run.text("three ")
                    await steps()
                    assert run.attempt == (1 if run_too else 2)
                run.text("four")
            state = await conversation(w.sink, "t")

            assert [item["kind"] for item in state["runs"][0]["items"]] == ["text", "custom"]
            assert texts_of(state) == ["one two four" if ends else "one two three four"]
            assert [run["status"] for run in state["runs"]] == ["completed"]
            assert [message["text"] for message in state["runs"][0]["messages"]] == ["hello"]

    scenario()


@virtual_time
async def test_a_store_that_falls_behind_again_while_the_run_is_said_again() -> None:
    async with world(window_s=0.0) as w:
        async with w.sink.run("t", message="hello") as run:
            for word in ("x" * 200_000, "y" * 200_000):
                run.text(word)
                await steps()
            await _lose(w)
            losses = [2]

            def lose_again(batch: Batch) -> None:
                if batch.first_n > 1 and losses[0]:
                    losses[0] -= 1
                    assert batch.seen is not None
                    w.timeline.log("t").forget_after(Cursor(batch.seen.epoch, 0))

            w.timeline.before_append = lose_again
            run.text("z")

        assert losses == [0]
        assert texts_of(await conversation(w.sink, "t")) == ["x" * 200_000 + "y" * 200_000 + "z"]


@virtual_time
async def test_a_lost_run_that_somebody_else_executes_now_is_left_to_them() -> None:
    async with world(window_s=0.0) as w:
        async with w.sink.run("t", request=request("r1")) as run:
            run.text("one")
            await steps()
            await _lose(w)
            await w.sink.begin_attempt("t", "r1", lease_s=30)
            run.text("two")
            await run.cancelled.wait()
            with pytest.raises(StaleAttemptError):
                run.text("three")

        assert "agentDone" not in await w.targets()


@virtual_time
async def test_a_lost_run_that_has_been_ended_stays_ended() -> None:
    async with world(window_s=0.0) as w:
        async with w.sink.run("t", request=request("r1")) as run:
            run.text("one")
            await steps()
            await _lose(w)
            runs = w.timeline.log("t").runs
            runs.close(runs.get("r1"), Terminal("failed", "producer_lost"))
            run.text("two")
            await run.cancelled.wait()

        assert run.terminal == Terminal("failed", "producer_lost")


@virtual_time
async def test_a_store_that_goes_away_while_it_is_asked_how_the_run_ended() -> None:
    async with world(window_s=0.0, give_up_s=5.0) as w:
        with expect(UnavailableError):
            async with w.sink.run("t", request=request("r1")) as run:
                await steps()
                await w.sink.begin_attempt("t", "r1", lease_s=30)

                def go_away(_: Batch) -> None:
                    w.timeline.down = True

                w.timeline.before_append = go_away
                run.text("x")
                await run.cancelled.wait()


@virtual_time
async def test_whoever_publishes_hears_of_a_sink_with_a_mistake(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as w:

        def fail(_: Batch) -> None:
            raise ZeroDivisionError

        w.timeline.before_append = fail
        with expect(ZeroDivisionError):
            async with w.sink.run("t") as run:
                await run.cancelled.wait()
                with pytest.raises(ZeroDivisionError):
                    run.text("x")

    assert "run id-1 was left open: ZeroDivisionError" in caplog.messages


@virtual_time
async def test_errors_that_do_not_pass_are_not_tried_again() -> None:
    async with world() as w:

        def refuse(_: Batch) -> None:
            raise InvalidRequestError("no")

        w.timeline.before_append = refuse
        with expect(InvalidRequestError):
            async with w.sink.run("t"):
                pass

        assert len(w.timeline.batches) == 1


@virtual_time
async def test_snapshots_are_taken_every_so_often_and_at_the_end() -> None:
    async with world(snapshot_every=10, window_s=0.0) as w:
        async with w.sink.run("t") as run:
            for n in range(25):
                run.emit("n", n)
                await steps()
            early = await w.sink.get_snapshot("t")
        last = await w.sink.get_snapshot("t")

        assert early is not None
        assert last is not None
        assert early.cursor.seq == 20
        assert last.cursor.seq == 27
        assert (await conversation(w.sink, "t"))["runs"][0]["status"] == "completed"


@virtual_time
async def test_without_a_snapshot_the_run_has_still_ended(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> bool:
        raise BusyError("later")

    async with world() as w:
        monkeypatch.setattr(w.timeline, "put_snapshot", refuse)
        async with w.sink.run("t") as run:
            pass

        assert run.terminal == Terminal("completed")
        assert "no snapshot of run id-1: BusyError" in caplog.messages


@virtual_time
async def test_a_sink_that_closes_during_the_last_snapshot_has_written_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(_: str) -> None:
        await asyncio.Event().wait()

    async with world() as w:
        run = w.sink.run("t")
        await run.begin()
        monkeypatch.setattr(w.timeline, "get_snapshot", never)
        ending = asyncio.ensure_future(run.finish())
        await steps()

        await w.sink.aclose()

        assert await ending == Terminal("completed")


def test_a_thread_that_outlives_the_loop_is_not_disturbed() -> None:
    """What it says is lost with the sink; it is told when the run ends, not by an error of asyncio's."""
    say: list[Any] = []

    @virtual_time
    async def scenario() -> None:
        async with world() as w:
            run = w.sink.run("t")
            await run.begin()
            await steps()
            say.append(run)

    scenario()
    said: list[Exception] = []

    def speak() -> None:
        try:
            say[0].text("x")
        except UnavailableError as error:
            said.append(error)
        say[0]._pump.wake()

    thread = threading.Thread(target=speak)
    thread.start()
    thread.join()

    assert len(said) == 1
