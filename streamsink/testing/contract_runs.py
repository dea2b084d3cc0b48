"""The contract: how runs are accepted, take turns, and end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from streamsink.core.errors import BusyError, KeyReusedError, NotFoundError, StaleAttemptError
from streamsink.core.events import Terminal
from streamsink.testing.checking import LEASE_S, batch, begun, expect, request

if TYPE_CHECKING:
    from streamsink.testing.subject import MakeSubject, Subject

__all__ = ["CHECKS"]

DONE = Terminal("completed", response=b'{"text":"x","response":{}}')


async def terminals(subject: Subject, thread: str) -> list[tuple[str, str | None]]:
    """Status and error code of every ``agentDone``."""
    done = [msgspec.json.decode(event.json) for event in await subject.events(thread) if event.target == "agentDone"]
    return [(data["status"], data.get("error", {}).get("code")) for data in done]


async def a_run_is_accepted_once(make: MakeSubject) -> None:
    """The same correlation id, or the same key, is the same run; its user message stands once."""
    async with make() as subject:
        keyed = request("r1", idempotency_key="k", fingerprint="f")
        first = await subject.sink.accept_run("t", keyed)
        same_id = await subject.sink.accept_run("t", keyed)
        same_key = await subject.sink.accept_run("t", request("r2", idempotency_key="k", fingerprint="f"))
        with expect(KeyReusedError):
            await subject.sink.accept_run("t", request("r3", idempotency_key="k", fingerprint="other"))
        elsewhere = await subject.sink.accept_run("u", request("r4", idempotency_key="k", fingerprint="other"))

        assert (first.fresh, same_id.fresh, same_key.fresh, elsewhere.fresh) == (True, False, False, True)
        assert same_key.run.correlation_id == "r1"
        assert [event.target for event in await subject.events("t")] == ["userMessage"]


async def an_acceptance_may_be_repeated(make: MakeSubject) -> None:
    """By whoever did not hear the answer: it is told again that the run is new, until that begins."""
    async with make() as subject:
        first = await subject.sink.accept_run("t", request("r1", call="a"))
        again = await subject.sink.accept_run("t", request("r1", call="a"))
        other = await subject.sink.accept_run("t", request("r1", call="b"))
        await subject.sink.begin_attempt("t", "r1", lease_s=LEASE_S)
        late = await subject.sink.accept_run("t", request("r1", call="a"))
        await subject.sink.accept_run("u", request("r1", call="a"))
        await subject.sink.cancel("u")
        cancelled = await subject.sink.accept_run("u", request("r1", call="a"))

        assert (first.fresh, again.fresh, other.fresh, late.fresh, cancelled.fresh) == (True, True, False, False, False)
        assert [event.target for event in await subject.events("t")] == ["userMessage"]


async def concurrent_acceptances_are_one(make: MakeSubject) -> None:
    """Two nodes that get the same request at once make one run."""
    async with make() as subject:
        keyed = [request(f"r{i}", idempotency_key="k", fingerprint="f") for i in range(5)]
        accepted = await asyncio.gather(*(subject.sink.accept_run("t", each) for each in keyed))

        assert [each.fresh for each in accepted].count(True) == 1
        assert len({each.run.correlation_id for each in accepted}) == 1


async def runs_of_one_agent_take_turns(make: MakeSubject) -> None:
    """One at a time, in order, bounded; another agent does not wait."""
    async with make() as subject:
        for name in ("r1", "r2"):
            await subject.sink.accept_run("t", request(name, queue_limit=2))
        with expect(BusyError):
            await subject.sink.accept_run("t", request("r3", queue_limit=2))
        await subject.sink.accept_run("t", request("other", agent_name="other agent", queue_limit=2))
        await subject.sink.begin_attempt("t", "r1", lease_s=LEASE_S)
        await subject.sink.begin_attempt("t", "other", lease_s=LEASE_S)
        with expect(BusyError):
            await subject.sink.begin_attempt("t", "r2", lease_s=LEASE_S)

        waiting = asyncio.create_task(subject.sink.wait_turn("t", "r2", timeout_s=10))
        await subject.sink.send("t", batch("r1", 1, end=DONE))

        assert await waiting
        assert (await subject.sink.begin_attempt("t", "r2", lease_s=LEASE_S)).number == 1


async def an_unordered_run_waits_for_none(make: MakeSubject) -> None:
    """Its host sees to the order; it counts for the bound, and an ordered run waits for it."""
    async with make() as subject:
        await subject.sink.accept_run("t", request("r1", queue_limit=3, ordered=False))
        await subject.sink.accept_run("t", request("r2", queue_limit=3, ordered=False))
        await subject.sink.accept_run("t", request("r3", queue_limit=3))
        with expect(BusyError):
            await subject.sink.accept_run("t", request("r4", queue_limit=3, ordered=False))

        assert await subject.sink.wait_turn("t", "r2", timeout_s=1)
        assert (await subject.sink.begin_attempt("t", "r2", lease_s=LEASE_S)).number == 1
        assert (await subject.sink.begin_attempt("t", "r1", lease_s=LEASE_S)).number == 1
        with expect(BusyError):
            await subject.sink.begin_attempt("t", "r3", lease_s=LEASE_S)


async def waiting_for_a_turn_ends(make: MakeSubject) -> None:
    """A turn that does not come in time is not waited for."""
    async with make() as subject:
        for name in ("r1", "r2"):
            await subject.sink.accept_run("t", request(name, queue_limit=2))

        assert await subject.sink.wait_turn("t", "r1", timeout_s=1)
        assert not await subject.sink.wait_turn("t", "r2", timeout_s=0.01)


async def a_queued_run_is_cancelled_at_once(make: MakeSubject) -> None:
    """Nobody needs to execute it for that, and nobody will."""
    async with make() as subject:
        await subject.sink.accept_run("t", request("r1"))
        cancelled = await subject.sink.cancel("t", "r1")
        attempt = await subject.sink.begin_attempt("t", "r1", lease_s=LEASE_S)

        assert cancelled.correlation_ids == ("r1",)
        assert attempt.terminal is not None
        assert attempt.terminal.status == "cancelled"
        assert await terminals(subject, "t") == [("cancelled", None)]


async def a_running_run_hears_of_its_cancel(make: MakeSubject) -> None:
    """By its next append and by its next renewal; its producer writes the terminal."""
    async with make() as subject:
        await begun(subject.sink, "t")
        before = await subject.sink.send("t", batch("r1", 1))
        reached = await subject.sink.cancel("t")
        after = await subject.sink.send("t", batch("r1", 2))
        renewed = await subject.sink.renew("t", "r1", 1, lease_s=LEASE_S)

        assert (before.cancel, after.cancel, renewed) == (False, True, True)
        assert reached.correlation_ids == ("r1",)
        assert await terminals(subject, "t") == []
        with expect(NotFoundError):
            await subject.sink.cancel("t", "unknown")
        await subject.sink.send("t", batch("r1", 3, end=Terminal("cancelled")))
        assert (await subject.sink.cancel("t", "r1")).correlation_ids == ()


async def a_lost_producer_is_one_failure(make: MakeSubject) -> None:
    """When the lease is over any number of sweeps write one terminal; while it is renewed, none."""
    async with make() as subject:
        await subject.sink.accept_run("t", request("r1"))
        await subject.sink.begin_attempt("t", "r1", lease_s=2)
        await subject.pass_time(1.5)
        await subject.sink.renew("t", "r1", 1, lease_s=2)
        await subject.pass_time(1.5)
        assert await subject.sink.sweep() == []
        await subject.pass_time(1)
        await asyncio.gather(subject.sink.sweep(), subject.sink.sweep("t"))
        await subject.sink.sweep()

        assert await terminals(subject, "t") == [("failed", "producer_lost")]


async def a_reader_notices_a_lost_producer(make: MakeSubject) -> None:
    """Reading the thread is enough."""
    async with make() as subject:
        await subject.sink.accept_run("t", request("r1"))
        await subject.sink.begin_attempt("t", "r1", lease_s=1)
        await subject.pass_time(1.5)

        assert await terminals(subject, "t") == [("failed", "producer_lost")]


async def a_run_that_waited_too_long_fails(make: MakeSubject) -> None:
    """Queued runs have a deadline of their own."""
    async with make() as subject:
        await subject.sink.accept_run("t", request("r1", queue_timeout_s=1))
        await subject.pass_time(1.5)
        await subject.sink.sweep()

        assert await terminals(subject, "t") == [("failed", "queue_timeout")]


async def a_waiting_run_ends_with_its_host(make: MakeSubject) -> None:
    """Whoever waits for its turn keeps it; when nobody does any more it fails, long before its queue timeout."""
    async with make() as subject:
        await begun(subject.sink, "t", queue_limit=2)
        await subject.sink.accept_run("t", request("r2", queue_limit=2, lease_s=2))
        await subject.pass_time(1.5)
        assert not await subject.sink.wait_turn("t", "r2", timeout_s=0.25)
        await subject.pass_time(1.5)
        assert await subject.sink.sweep() == []
        await subject.pass_time(1)
        await asyncio.gather(subject.sink.sweep(), subject.sink.sweep("t"))

        assert await terminals(subject, "t") == [("failed", "producer_lost")]


async def a_run_that_begins_has_the_lease_of_its_attempt(make: MakeSubject) -> None:
    """What it waited under is over."""
    async with make() as subject:
        await begun(subject.sink, "t", lease_s=1)
        await subject.pass_time(2)

        assert await terminals(subject, "t") == []


async def a_redelivering_host_gets_a_second_chance(make: MakeSubject) -> None:
    """Interrupted first; then the next attempt, or a failure when none comes."""
    async with make() as subject:
        for name in ("r1", "r2"):
            await subject.sink.accept_run(name, request(name, redelivery_s=2))
            await subject.sink.begin_attempt(name, name, lease_s=1)
        await subject.pass_time(1.5)
        await subject.sink.sweep()
        with expect(StaleAttemptError):
            await subject.sink.send("r1", batch("r1", 1))
        again = await subject.sink.begin_attempt("r1", "r1", lease_s=LEASE_S)
        await subject.pass_time(2.5)
        await subject.sink.sweep()

        assert again.number > 1
        targets = [event.target for event in await subject.events("r1")]
        assert targets == ["userMessage", "agentInterrupted"]
        assert await terminals(subject, "r2") == [("failed", "producer_lost")]


async def an_interruption_is_recorded_once(make: MakeSubject) -> None:
    """A host that says so twice, or after a new attempt has begun, changes nothing."""
    async with make() as subject:
        await begun(subject.sink, "t", redelivery_s=60)
        first = await subject.sink.interrupt("t", "r1", 1)
        second = await subject.sink.interrupt("t", "r1", 1)
        await subject.sink.begin_attempt("t", "r1", lease_s=LEASE_S)
        late = await subject.sink.interrupt("t", "r1", 1)

        assert (len(first.events), len(second.events), len(late.events)) == (1, 0, 0)


async def a_beginning_may_be_repeated(make: MakeSubject) -> None:
    """By whoever did not hear the answer: it is the same attempt. Anybody else's is another one."""
    async with make() as subject:
        await subject.sink.accept_run("t", request("r1"))
        first = await subject.sink.begin_attempt("t", "r1", lease_s=LEASE_S, call="a")
        again = await subject.sink.begin_attempt("t", "r1", lease_s=LEASE_S, call="a")
        await subject.sink.send("t", batch("r1", 1, attempt=first.number))
        late = await subject.sink.begin_attempt("t", "r1", lease_s=LEASE_S, call="a")
        other = await subject.sink.begin_attempt("t", "r1", lease_s=LEASE_S, call="b")
        unnamed = await subject.sink.begin_attempt("t", "r1", lease_s=LEASE_S)

        assert first.number == again.number == late.number < other.number < unnamed.number


async def a_finished_run_is_not_executed_again(make: MakeSubject) -> None:
    """A redelivery gets the stored response, whole."""
    async with make() as subject:
        await begun(subject.sink, "t")
        await subject.sink.send("t", batch("r1", 1, end=DONE))
        again = await subject.sink.begin_attempt("t", "r1", lease_s=LEASE_S)
        run = await subject.sink.get_run("t", "r1")

        assert again.terminal == DONE
        assert run is not None
        assert (run.state, run.attempt, run.terminal) == ("done", 1, DONE)


CHECKS = (
    a_run_is_accepted_once,
    an_acceptance_may_be_repeated,
    concurrent_acceptances_are_one,
    runs_of_one_agent_take_turns,
    an_unordered_run_waits_for_none,
    waiting_for_a_turn_ends,
    a_queued_run_is_cancelled_at_once,
    a_running_run_hears_of_its_cancel,
    a_lost_producer_is_one_failure,
    a_reader_notices_a_lost_producer,
    a_run_that_waited_too_long_fails,
    a_waiting_run_ends_with_its_host,
    a_run_that_begins_has_the_lease_of_its_attempt,
    a_redelivering_host_gets_a_second_chance,
    an_interruption_is_recorded_once,
    a_beginning_may_be_repeated,
    a_finished_run_is_not_executed_again,
)
