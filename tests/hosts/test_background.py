"""Agents as background tasks: turns, cancels, memory and the end of the process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.core.errors import BusyError, NotFoundError, UnavailableError
from streamsink.core.runs import RunRequest
from streamsink.demo.scripted import Pause, Text
from streamsink.hosts.agent_host import Answer, Job
from streamsink.hosts.background import BackgroundHost
from streamsink.hosts.sessions import MemorySessions
from streamsink.testing.clock import virtual_time

from .attempt_support import T
from .background_support import bench
from .support import Gate, Model, ends, events_of, make_agent, until

if TYPE_CHECKING:
    from agent_framework import AgentSession


@virtual_time
async def test_a_run_that_waits_too_long_ends() -> None:
    gate = Gate()
    async with bench([Pause(gate)], queue_timeout_s=20) as there:
        await there.start()
        await there.start(queue_timeout_s=20)
        await asyncio.sleep(21)  # nobody looks meanwhile

        run = await there.sink.get_run(T, "r2")
        assert run is not None
        assert run.terminal is not None
        assert run.terminal.code == "queue_timeout"


@virtual_time
async def test_a_run_behind_one_of_another_node_does_not_hold_up_the_end() -> None:
    """Its turn does not come in time; its deadline, or whoever reads, ends it."""
    async with bench() as there:
        await there.sink.accept_run(T, RunRequest(correlation_id="r0", agent_name="Robot", queue_limit=9))
        await there.sink.begin_attempt(T, "r0", lease_s=600)
        await there.start(queue_timeout_s=60)
        await there.host.aclose(drain_s=0)
        assert asyncio.get_running_loop().time() < 10
        await asyncio.sleep(60)

        assert await there.done() == [("failed", "queue_timeout")]


def unreachable_for(seconds: float, call: Any) -> Any:
    """A call of a store that cannot be reached at first."""
    back_at = asyncio.get_running_loop().time() + seconds

    async def called(*args: Any, **more: Any) -> Any:
        if asyncio.get_running_loop().time() < back_at:
            raise UnavailableError("not now")
        return await call(*args, **more)

    return called


@virtual_time
@pytest.mark.parametrize("method", ["wait_turn", "begin_attempt"])
async def test_a_store_that_is_back_soon_costs_no_run(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench([Text("Hello")]) as there:
        monkeypatch.setattr(there.sink, method, unreachable_for(20, getattr(there.sink, method)))
        await there.start()

        assert await there.done() == [("completed", None)]


@virtual_time
async def test_a_run_that_waits_long_outlives_a_short_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it had waited when the store went away."""
    gate = Gate()
    async with bench([Pause(gate), Text("One")], [Text("Two")]) as there:
        wait_turn = there.sink.wait_turn

        async def cut_off(*args: Any, **more: Any) -> bool:
            await asyncio.sleep(100)
            monkeypatch.setattr(there.sink, "wait_turn", unreachable_for(20, wait_turn))
            raise UnavailableError("not now")

        await there.start()
        await asyncio.sleep(1)
        monkeypatch.setattr(there.sink, "wait_turn", cut_off)
        await there.start()
        await asyncio.sleep(110)
        gate.opened.set()

        assert await there.done(2) == [("completed", None), ("completed", None)]


@virtual_time
async def test_a_beginning_that_was_not_heard_of_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt that it took is the one that is executed, and the agent is asked once."""
    model = Model([Text("Hello")])
    async with bench(agents=[make_agent(model)]) as there:
        begin, numbers = there.sink.begin_attempt, list[int]()

        async def unheard(*args: Any, **more: Any) -> Any:
            attempt = await begin(*args, **more)
            numbers.append(attempt.number)
            if len(numbers) < 3:
                raise UnavailableError("no answer in time")
            return attempt

        monkeypatch.setattr(there.sink, "begin_attempt", unheard)
        await there.start()

        assert await there.done() == [("completed", None)]
        assert numbers == [1, 1, 1]
        assert len(model.heard) == 1


@virtual_time
async def test_a_store_that_stays_away_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with bench([Text("Hello")]) as there:
        for name in ("wait_turn", "get_run"):
            monkeypatch.setattr(there.sink, name, unreachable_for(100, getattr(there.sink, name)))
        await there.start(queue_timeout_s=60)
        await asyncio.sleep(there.sink.options.give_up_s + 1)
        assert "run r1 was lost" in caplog.text
        await asyncio.sleep(100)

        assert await there.done() == [("failed", "queue_timeout")]


@virtual_time
async def test_an_agent_is_asked_once_even_if_the_store_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model([Text("Half")])
    async with bench(agents=[make_agent(model)]) as there:
        monkeypatch.setattr(there.sink, "send", unreachable_for(100, there.sink.send))
        monkeypatch.setattr(there.sink, "renew", unreachable_for(100, there.sink.renew))
        await there.start()
        await asyncio.sleep(120)

        assert await there.done() == [("failed", "producer_lost")]
        assert len(model.heard) == 1


@virtual_time
async def test_stopping_ends_what_runs_and_what_waits_visibly() -> None:
    gate = Gate()
    async with bench([Text("Half"), Pause(gate)]) as there:
        for _ in range(3):
            await there.start()
        await gate.reached.wait()

        await there.host.aclose(drain_s=0)

        assert ends(await events_of(there.sink, T)) == [("failed", "shutdown")] * 3
        assert await there.texts() == []


@virtual_time
async def test_stopping_lets_runs_end_for_a_while() -> None:
    gate = Gate()
    async with bench([Pause(gate), Text("In time")]) as there:
        await there.start()
        await gate.reached.wait()
        asyncio.get_running_loop().call_later(5, gate.opened.set)

        await there.host.aclose(drain_s=10)

        assert await there.done() == [("completed", None)]
        assert asyncio.get_running_loop().time() < 10


@virtual_time
async def test_a_host_that_stops_accepts_nothing() -> None:
    """What has slipped through gets its terminal at once."""
    async with bench() as there:
        await there.host.aclose(drain_s=0)

        with pytest.raises(UnavailableError):
            async with there.host.reserve("ann"):
                pass
        with pytest.raises(UnavailableError):
            await there.start()
        assert await there.done() == [("failed", "shutdown")]


@virtual_time
async def test_room_is_kept_while_a_run_is_being_accepted() -> None:
    async with bench(max_runs_per_user=2) as there:
        async with there.host.reserve("ann"), there.host.reserve("ann"):
            with pytest.raises(BusyError):
                async with there.host.reserve("ann"):
                    pass
            async with there.host.reserve("bob"):
                pass
        async with there.host.reserve("ann"):
            pass


@virtual_time
async def test_the_whole_host_is_bounded_whoever_asks() -> None:
    """Anonymous users cost nothing to make."""
    async with bench(max_runs=2) as there:
        async with there.host.reserve("one"), there.host.reserve("two"):
            with pytest.raises(BusyError):
                async with there.host.reserve("three"):
                    pass
        async with there.host.reserve("three"):
            pass


@virtual_time
async def test_only_open_runs_count() -> None:
    gate = Gate()
    async with bench([Pause(gate), Text("x")], max_runs_per_user=1) as there:
        await there.start()
        await gate.reached.wait()
        with pytest.raises(BusyError):
            async with there.host.reserve("ann"):
                pass
        gate.opened.set()
        await there.done()
        await asyncio.sleep(1)

        async with there.host.reserve("ann"):
            pass


@virtual_time
async def test_waiting_for_a_run_ends_with_it_or_in_time() -> None:
    gate = Gate()
    async with bench([Pause(gate), Text("x")]) as there:
        run = await there.start()
        assert await there.host.wait(T, run, timeout_s=5) is None
        gate.opened.set()

        terminal = await there.host.wait(T, run, timeout_s=5)

        assert terminal is not None
        assert terminal.status == "completed"
        assert await there.host.wait(T, "unknown", timeout_s=5) is None


class BrokenSessions(MemorySessions):
    """A store that is not there."""

    async def get(self, thread: str, agent: str) -> AgentSession | None:
        raise OSError("redis://:swordfish@store is down")


@virtual_time
async def test_a_run_that_cannot_begin_ends_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async with bench(sessions=BrokenSessions()) as there:
        await there.start("my secret plan")

        assert await there.done() == [("failed", "agent_error")]
        assert asyncio.get_running_loop().time() < 1
        assert "OSError" in caplog.text
        assert "swordfish" not in caplog.text
        assert "secret plan" not in caplog.text


@virtual_time
async def test_an_answer_to_nothing_ends_its_run() -> None:
    """The conversation has moved on between the check and the turn."""
    async with bench() as there:
        request = RunRequest(correlation_id="r1", agent_name="Robot", queue_limit=5)
        await there.sink.accept_run(T, request)
        answer = Answer(approval_id="a", approved=True)
        await there.host.start(Job(thread=T, request=request, user_id="ann", answer=answer))

        assert await there.done() == [("failed", "conflict")]
        with pytest.raises(NotFoundError):
            await there.host.check_answer(T, "Robot", answer)


@virtual_time
async def test_somebody_elses_attempt_may_be_quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The turn was lost between waiting and beginning: wait again."""
    async with bench([Text("x")]) as there:
        begin, tries = there.sink.begin_attempt, 0

        async def late(*args: Any, **kwargs: Any) -> Any:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise BusyError("an earlier run of this agent is open")
            return await begin(*args, **kwargs)

        monkeypatch.setattr(there.sink, "begin_attempt", late)
        await there.start()

        assert await there.done() == [("completed", None)]


@virtual_time
async def test_forgetting_ends_what_runs_and_forgets_every_agent() -> None:
    gate = Gate()
    agents = [make_agent(Model([Text("x")], [Pause(gate)]), name="First"), make_agent(name="Second")]
    async with bench(agents=agents) as there:
        for name in ("First", "Second"):
            await there.start(agent=name)
        await there.done(2)
        await there.start(agent="First")
        await gate.reached.wait()
        await there.sink.delete(T)

        await there.host.forget(T)

        assert await there.texts("First") == await there.texts("Second") == []
        await until(lambda: not any("job" in task.get_name() for task in asyncio.all_tasks()))


@virtual_time
async def test_deleting_what_runs_is_nothing_to_log(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    async with bench([Text("half"), Pause(gate)]) as there:
        await there.start()
        await there.start()  # and one that waits for it
        await gate.reached.wait()
        await there.sink.delete(T)
        await there.host.forget(T)

    assert [record.getMessage() for record in caplog.records if record.levelname != "DEBUG"] == []


@virtual_time
async def test_nothing_that_people_say_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Neither questions nor answers nor the texts of errors, whatever happens to the run."""
    caplog.set_level("DEBUG", logger="streamsink")
    words = ("question-4711", "answer-4711", "error-4711")
    async with bench([Text(words[1])], [Text(words[1]), ValueError(words[2])], time_limit_s=5) as there:
        await there.start(words[0])
        await there.start(words[0])
        await there.done(2)

    assert "ValueError" in caplog.text
    assert "4711" not in caplog.text


def test_the_host_can_stop_runs() -> None:
    host: Any = object.__new__(BackgroundHost)
    assert host.stops_runs
