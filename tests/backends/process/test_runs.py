from __future__ import annotations

import pytest

from streamsink.backends.process.runs import RunEntry, RunTable
from streamsink.core.errors import BusyError, KeyReusedError, NotFoundError
from streamsink.core.events import Terminal
from streamsink.core.runs import RunRequest
from streamsink.testing.checking import batch, request

DONE = Terminal("completed")


@pytest.fixture
def table() -> RunTable:
    return RunTable()


def accept(table: RunTable, name: str, **more: object) -> RunEntry:
    return table.accept(request(name, **more), 0)[0]


def test_a_run_is_accepted_once(table: RunTable) -> None:
    entry, fresh = table.accept(request("r1"), 0)

    assert fresh
    assert table.accept(request("r1"), 5) == (entry, False)
    assert table.get("r1") is entry
    with pytest.raises(NotFoundError):
        table.get("r2")


def test_a_key_is_a_run(table: RunTable) -> None:
    entry = accept(table, "r1", idempotency_key="k", fingerprint="f")

    assert accept(table, "r2", idempotency_key="k", fingerprint="f") is entry
    with pytest.raises(KeyReusedError):
        accept(table, "r3", idempotency_key="k", fingerprint="other")


def test_an_empty_key_is_nobody_elses(table: RunTable) -> None:
    keyed = accept(table, "r1", idempotency_key="")

    assert accept(table, "r2") is not keyed


def test_a_closed_run_still_answers_for_its_key(table: RunTable) -> None:
    entry = accept(table, "r1", idempotency_key="k")
    table.close(entry, DONE)

    assert table.accept(request("r2", idempotency_key="k"), 0) == (entry, False)
    assert entry.view().terminal == DONE
    assert table.open() == []


def test_old_closed_runs_are_forgotten_with_their_keys() -> None:
    table = RunTable(keep_closed=2)
    for name, key in (("r1", "k1"), ("r2", None), ("r3", "k3"), ("r4", None)):
        table.close(accept(table, name, idempotency_key=key), DONE)

    assert [table.find(name) is None for name in ("r1", "r2", "r3", "r4")] == [True, True, False, False]
    assert table.accept(request("r9", idempotency_key="k1"), 0)[1]
    assert not table.accept(request("r9", idempotency_key="k3"), 0)[1]


def test_runs_of_one_agent_take_turns_in_order(table: RunTable) -> None:
    one, two, three = (accept(table, name, queue_limit=3) for name in ("r1", "r2", "r3"))
    other = accept(table, "r4", agent_name="other", queue_limit=3)
    free = accept(table, "r5")

    assert [table.is_turn(entry) for entry in (one, two, three, other, free)] == [True, False, False, True, True]
    table.close(one, DONE)
    table.check_turn(two)
    with pytest.raises(BusyError, match="earlier run"):
        table.check_turn(three)


def test_a_queue_is_bounded_by_agent(table: RunTable) -> None:
    accept(table, "r0")
    accept(table, "r1", queue_limit=2)
    accept(table, "r2", queue_limit=2)

    with pytest.raises(BusyError, match="2 runs"):
        accept(table, "r3", queue_limit=2)
    assert table.accept(RunRequest(correlation_id="r4", agent_name="other", queue_limit=1), 0)[1]
    assert table.accept(request("r2", queue_limit=2), 0)[0].correlation_id == "r2"


def test_deadlines_follow_the_state(table: RunTable) -> None:
    entry = accept(table, "r1", queue_timeout_s=5, redelivery_s=7)

    assert entry.deadline_ms == 5_000
    entry.begin(1, 30, 1_000)
    assert (entry.view().state, entry.attempt, entry.deadline_ms) == ("executing", 1, 31_000)
    entry.note(batch("r1", 1, 2), "17", 1, 2_000)
    assert entry.deadline_ms == 32_000
    entry.interrupt(3_000)
    assert (entry.view().state, entry.deadline_ms) == ("interrupted", 10_000)


def test_what_the_timeline_itself_writes_is_said_by_the_runs_agent(table: RunTable) -> None:
    entry = accept(table, "r1", agent_name="planner")

    body = entry.envelope("t").done(DONE, attempt=0, at_ms=1).body

    assert body.startswith(b'{"conversationId":"t","correlationId":"r1","agentName":"planner"')


def test_each_attempt_counts_its_records_from_one(table: RunTable) -> None:
    entry = accept(table, "r1")
    entry.begin(1, 30, 0)
    assert entry.next_n == 1
    last = entry.note(batch("r1", 1, 2), "17", 5, 0)
    assert entry.next_n == 3
    entry.begin(2, 30, 0)

    assert entry.next_n == 1
    assert last.is_repeated_by(batch("r1", 1, 2))
    assert not last.is_repeated_by(batch("r1", 1, 3))
    assert not last.is_repeated_by(batch("r1", 1, 2, attempt=2))
    appended = last.appended(True)
    assert (appended.first_seq, appended.count, appended.cancel, appended.repeated) == (5, 2, True, True)
