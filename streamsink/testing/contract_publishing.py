"""The contract: a publisher on top of the sink."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streamsink.core.cursor import Cursor
from streamsink.core.errors import StreamSinkError
from streamsink.testing.checking import expect, needs_history, texts_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamsink.core.sink import StreamSink
    from streamsink.testing.subject import MakeSubject, Subject

__all__ = ["CHECKS"]

_MOST_STEPS = 60


async def a_published_run_is_a_conversation(make: MakeSubject) -> None:
    """Live and by replay, a run shows what was said, once, and its one terminal."""
    async with make() as subject, subject.client("alice") as client:
        await subject.sink.join("t", client.connection_id, user_id="alice")
        async with subject.sink.run("t", message="hello") as run:
            for word in ("Grüße ", "aus ", "Ω ", "👋"):
                run.text(word)
                await asyncio.sleep(0)
            run.emit("progress", {"percent": 100})
        await client.until(1, target="agentDone")
        state = await subject.conversation("t")

        assert texts_of(state) == ["Grüße aus Ω 👋"]
        assert state["runs"][0]["status"] == "completed"
        assert state["runs"][0]["messages"][0]["text"] == "hello"
        live = [event.data for event in client.received if event.target == "agentMessage"]
        assert "".join(data["text"] for data in live) == "Grüße aus Ω 👋"


async def a_failing_body_is_one_failure(make: MakeSubject) -> None:
    """The exception goes on; its text stays here."""
    async with make() as subject:
        with expect(ZeroDivisionError):
            await _fail_half_way(subject.sink)
        state = await subject.conversation("t")

        assert (state["runs"][0]["status"], texts_of(state)) == ("failed", ["half"])
        assert b"a secret" not in b"".join(event.json for event in await subject.events("t"))


async def _fail_half_way(sink: StreamSink) -> None:
    async with sink.run("t") as run:
        run.text("half")
        raise ZeroDivisionError("a secret")


async def a_cancelled_source_stops(make: MakeSubject) -> None:
    """Publishing ends, ``cancelled``, although the source would wait for ever."""
    async with make() as subject:
        started = asyncio.Event()

        async def source() -> AsyncIterator[str]:
            yield "beginning"
            started.set()
            await asyncio.Event().wait()

        publishing = asyncio.create_task(subject.sink.publish("t", source()))
        await started.wait()
        await subject.sink.cancel("t")
        await subject.pass_time(subject.sink.options.lease_s)
        terminal = await asyncio.wait_for(publishing, 60)

        assert terminal.status == "cancelled"
        assert texts_of(await subject.conversation("t")) == ["beginning"]


@needs_history
async def a_run_survives_a_store_that_fell_behind(make: MakeSubject) -> None:
    """The producer says its run again in the new epoch; a reader sees it once."""
    async with make() as subject:
        async with subject.sink.run("t", message="hello") as run:
            run.text("one ")
            await _until_said(subject, "t", "one ")
            kept = (await subject.events("t"))[0]
            run.text("two ")
            await _until_said(subject, "t", "one two ")
            loses = await subject.lose("t", Cursor(int(kept.epoch), kept.seq))
            run.text("three")
        if not loses:
            return
        state = await subject.conversation("t")

        assert texts_of(state) == ["one two three"]
        assert [run["status"] for run in state["runs"]] == ["completed"]


async def _until_said(subject: Subject, thread: str, text: str) -> None:
    async with asyncio.timeout(10):
        while texts_of(await subject.conversation(thread)) != [text]:  # noqa: ASYNC110  the store has no such event
            await asyncio.sleep(0.005)


async def a_cancel_at_any_moment_loses_nothing(make: MakeSubject) -> None:
    """A producer that is cancelled after any step leaves at most one terminal, the text it was allowed to say, and no
    task."""
    async with make() as subject:
        for steps in range(_MOST_STEPS):
            await _cancel_after(subject, f"t{steps}", steps)


async def _cancel_after(subject: Subject, thread: str, steps: int) -> None:
    said: list[str] = []

    async def produce() -> None:
        async with subject.sink.run(thread, message="hello") as run:
            for word in ("a", "b", "c"):
                run.text(word)
                said.append(word)
                await asyncio.sleep(0)

    others = asyncio.all_tasks()
    task = asyncio.create_task(produce())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await _settled(subject.sink)

    targets = [event.target for event in await subject.events(thread)]
    assert targets.count("agentDone") <= 1
    if "agentDone" in targets:
        assert texts_of(await subject.conversation(thread)) == ["".join(said)]
    left = {each for each in asyncio.all_tasks() - others if each.get_name().startswith("streamsink")}
    if left:  # a call that nobody waits for any more may be on its way
        _, left = await asyncio.wait(left, timeout=2)
    assert not left


async def _settled(sink: StreamSink) -> None:
    """Return when the sink's own tasks have ended: what was accepted has been written."""
    await sink.tasks.aclose(grace_s=20)


async def a_closed_sink_ends_its_runs(make: MakeSubject) -> None:
    """Closing under an open run leaves no task, and the publisher is told."""
    async with make() as subject:
        run = subject.sink.run("t")
        await run.begin()
        run.text("half")
        await subject.sink.aclose()
        with expect(StreamSinkError):
            await run.finish()


CHECKS = (
    a_published_run_is_a_conversation,
    a_failing_body_is_one_failure,
    a_cancelled_source_stops,
    a_run_survives_a_store_that_fell_behind,
    a_cancel_at_any_moment_loses_nothing,
    a_closed_sink_ends_its_runs,
)
