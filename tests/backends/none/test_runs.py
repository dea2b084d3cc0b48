"""Runs whose events are given their places and forgotten."""

from __future__ import annotations

import pytest

from streamsink.backends.none.runs import UnkeptRuns
from streamsink.core.errors import InvalidRequestError, StaleAttemptError
from streamsink.core.events import Event, Terminal
from streamsink.testing.checking import batch, request

DONE = Terminal("completed", response=b"{}")


@pytest.fixture
def runs() -> UnkeptRuns:
    return UnkeptRuns("t")


def begun(runs: UnkeptRuns, now_ms: int = 1_700, **more: object) -> int:
    runs.accept_run(request("r1", **more), now_ms)
    return runs.begin_attempt("r1", 30, now_ms).number


def places(events: tuple[Event, ...]) -> list[str]:
    return [event.cursor for event in events]


def test_an_attempt_is_its_start_and_rises(runs: UnkeptRuns) -> None:
    assert begun(runs, 1_700) == 1_700
    assert runs.begin_attempt("r1", 30, 1_800).number == 1_800
    assert runs.begin_attempt("r1", 30, 1_800).number == 1_801
    assert runs.begin_attempt("r1", 30, 900).number == 1_802  # a clock that was set back


def test_a_records_place_is_its_number_in_its_attempt(runs: UnkeptRuns) -> None:
    message = runs.accept_run(request("r1"), 1_700)
    first = runs.begin_attempt("r1", 30, 1_700).number
    one = runs.append(batch("r1", 1, 2, attempt=first), 1_701)
    two = runs.append(batch("r1", 3, attempt=first), 1_702)
    second = runs.begin_attempt("r1", 30, 1_800).number
    again = runs.append(batch("r1", 1, attempt=second), 1_801)

    assert places(message.events) == ["r1.0:1"]
    assert [(each.epoch, each.first_seq) for each in (one, two, again)] == [
        ("r1.1700", 1),
        ("r1.1700", 3),
        ("r1.1800", 1),
    ]
    assert two.cursor is None
    assert runs.append(batch("r1", 1, attempt=second), 1_802).repeated


def test_what_the_timeline_says_itself_comes_next(runs: UnkeptRuns) -> None:
    number = begun(runs, redelivery_s=1)
    runs.append(batch("r1", 1, 3, attempt=number), 1_700)

    interrupted = runs.sweep(1_700 + 30_000)
    ended = runs.sweep(1_700 + 31_000)

    assert [(event.target, event.cursor) for event in (*interrupted, *ended)] == [
        ("agentInterrupted", "r1.1700:4"),
        ("agentDone", "r1.1700:5"),
    ]


def test_the_end_of_a_queued_run_follows_its_message(runs: UnkeptRuns) -> None:
    runs.accept_run(request("r1"), 1_700)
    runs.accept_run(request("r2", message=None), 1_700)

    assert places(runs.cancel(None, 1_701).events) == ["r1.0:2", "r2.0:1"]


def test_order_is_checked_as_anywhere(runs: UnkeptRuns) -> None:
    number = begun(runs)
    with pytest.raises(InvalidRequestError):
        runs.append(batch("r1", 2, attempt=number), 1_700)
    runs.begin_attempt("r1", 30, 1_800)
    with pytest.raises(StaleAttemptError):
        runs.append(batch("r1", 1, attempt=number), 1_801)


def test_how_runs_ended_is_counted_and_bounded(runs: UnkeptRuns) -> None:
    for i in range(25):
        name = f"r{i}"
        runs.accept_run(request(name), 1_700)
        number = runs.begin_attempt(name, 30, 1_700).number
        end = Terminal("completed", response=b"x" * (100 + i))
        runs.append(batch(name, 1, attempt=number, end=end), 1_700)

    kept = [i for i in range(25) if runs.runs.find(f"r{i}") is not None]
    assert kept == list(range(5, 25))
    assert runs.size == sum(1_000 + 100 + i for i in kept)


def test_a_run_that_is_over_gives_its_response(runs: UnkeptRuns) -> None:
    number = begun(runs)
    runs.append(batch("r1", 1, attempt=number, end=DONE), 1_700)

    again = runs.begin_attempt("r1", 30, 1_900)

    assert (again.number, again.terminal) == (number, DONE)


def test_a_run_that_was_handed_over_is_known_and_not_open(runs: UnkeptRuns) -> None:
    """It counts for no bound, and no sweep ends it; its key names it still."""
    keyed = request("r1", queue_limit=1, queue_timeout_s=1, idempotency_key="k", fingerprint="f")
    runs.accept_run(keyed, 1_700)
    runs.hand_over("r1")

    assert runs.accept_run(request("r2", queue_limit=1), 1_800).fresh
    again = runs.accept_run(request("r3", idempotency_key="k", fingerprint="f"), 1_900)
    assert (again.fresh, again.run.correlation_id, again.run.terminal) == (False, "r1", None)
    assert runs.cancel(None, 1_900).correlation_ids == ("r2",)


def test_no_sweep_ends_what_another_process_executes(runs: UnkeptRuns) -> None:
    runs.accept_run(request("r1", queue_timeout_s=1), 1_700)
    runs.hand_over("r1")

    assert runs.sweep(1_000_000) == ()


def test_a_run_that_was_handed_over_may_be_executed_here(runs: UnkeptRuns) -> None:
    runs.accept_run(request("r1"), 1_700)
    runs.hand_over("r1")
    grown = runs.size

    attempt = runs.begin_attempt("r1", 30, 1_700).number

    assert runs.size < grown
    assert runs.cancel(None, 1_701).correlation_ids == ("r1",)
    runs.append(batch("r1", 1, attempt=attempt, end=DONE), 1_702)
    assert runs.begin_attempt("r1", 30, 1_703).terminal == DONE


def test_only_runs_that_have_not_begun_are_handed_over(runs: UnkeptRuns) -> None:
    begun(runs)
    runs.hand_over("r1")
    runs.hand_over("unknown")

    assert [entry.correlation_id for entry in runs.runs.open()] == ["r1"]


def test_those_handed_over_are_bounded(runs: UnkeptRuns) -> None:
    for i in range(30):
        runs.accept_run(request(f"r{i}"), 1_700)
        runs.hand_over(f"r{i}")

    assert runs.runs.find("r0") is None
    assert runs.runs.find("r29") is not None
    assert runs.size == 20 * 1_000
