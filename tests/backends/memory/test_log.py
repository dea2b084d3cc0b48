"""One thread's timeline: a state machine held against the simplest model that says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from streamsink.backends.memory.log import ThreadLog
from streamsink.core.cursor import Cursor
from streamsink.core.errors import (
    EpochChangedError,
    InvalidRequestError,
    NotFoundError,
    RunClosedError,
    StaleAttemptError,
)
from streamsink.core.events import Event, Terminal
from streamsink.core.timeline import Snapshot
from streamsink.testing.checking import batch, numbers, place, request

if TYPE_CHECKING:
    from streamsink.core.runs import Appended, Batch

DONE = Terminal("completed", response=b"{}")
MANY = 10**9


@pytest.fixture
def log() -> ThreadLog:
    return ThreadLog("t", keep_events=1_000)


def begun(log: ThreadLog, name: str = "r1", **more: object) -> int:
    log.accept_run(request(name, **more), 1_000)
    return log.begin_attempt(name, 30, 1_000).number


def everything(log: ThreadLog) -> tuple[Event, ...]:
    return log.read(None, limit=MANY, max_bytes=MANY).events


def targets(log: ThreadLog) -> list[str]:
    return [event.target for event in everything(log)]


def test_a_run_appends_its_message_once(log: ThreadLog) -> None:
    first = log.accept_run(request("r1"), 1_000)
    again = log.accept_run(request("r1"), 2_000)

    assert (first.fresh, len(first.events)) == (True, 1)
    assert (again.fresh, again.events) == (False, ())
    assert log.accept_run(request("r2", message=None), 3_000).events == ()


def test_a_batch_that_is_repeated_returns_its_place(log: ThreadLog) -> None:
    begun(log)
    first = log.append(batch("r1", 1, 2), 1_000)
    again = log.append(batch("r1", 1, 2), 2_000)

    assert (again.cursor, again.repeated, first.repeated) == (first.cursor, True, False)
    assert numbers(everything(log)) == [1, 2]


def test_a_terminal_closes_its_run(log: ThreadLog) -> None:
    begun(log)
    log.append(batch("r1", 1, end=DONE), 1_000)

    assert log.append(batch("r1", 1, end=DONE), 1_000).repeated
    assert log.begin_attempt("r1", 30, 1_000).terminal == DONE
    for refused in (lambda: log.append(batch("r1", 2), 1_000), lambda: log.renew("r1", 1, 30, 1_000)):
        with pytest.raises(RunClosedError):
            refused()


def test_what_does_not_follow_is_refused(log: ThreadLog) -> None:
    begun(log)
    log.append(batch("r1", 1), 1_000)

    with pytest.raises(InvalidRequestError, match="begin with record 2"):
        log.append(batch("r1", 3), 1_000)
    with pytest.raises(NotFoundError):
        log.append(batch("r2", 1), 1_000)


def test_an_older_attempt_is_refused(log: ThreadLog) -> None:
    begun(log)
    log.begin_attempt("r1", 30, 1_000)

    with pytest.raises(StaleAttemptError):
        log.append(batch("r1", 1, attempt=1), 1_000)
    with pytest.raises(StaleAttemptError):
        log.renew("r1", 1, 30, 1_000)
    assert log.append(batch("r1", 1, attempt=2), 1_000).count == 1


def test_an_interrupted_attempt_is_refused_and_said_once(log: ThreadLog) -> None:
    begun(log, redelivery_s=60)

    assert len(log.interrupt("r1", 1, 1_000).events) == 1
    assert log.interrupt("r1", 1, 1_000).events == ()
    with pytest.raises(StaleAttemptError):
        log.append(batch("r1", 1), 1_000)
    with pytest.raises(StaleAttemptError):
        log.renew("r1", 1, 30, 1_000)
    log.begin_attempt("r1", 30, 1_000)
    assert log.interrupt("r1", 1, 1_000).events == ()


def test_a_cancel_ends_what_has_not_begun_and_asks_the_rest(log: ThreadLog) -> None:
    begun(log, "r1")
    log.accept_run(request("r2"), 1_000)
    begun(log, "r3")
    log.append(batch("r3", 1, end=DONE), 1_000)

    cancelled = log.cancel(None, 1_000)

    assert cancelled.correlation_ids == ("r1", "r2")
    assert [event.target for event in cancelled.events] == ["agentDone"]
    assert log.cancel("r3", 1_000).correlation_ids == ()
    assert log.append(batch("r1", 1), 1_000).cancel
    assert log.renew("r1", 1, 30, 1_000)
    assert log.begin_attempt("r1", 30, 1_000).cancel
    with pytest.raises(NotFoundError):
        log.cancel("r9", 1_000)


@pytest.mark.parametrize(
    ("more", "begins", "at_ms", "said"),
    [
        ({"queue_timeout_s": 5}, False, 5_999, []),
        ({"queue_timeout_s": 5}, False, 6_000, ["agentDone"]),
        ({}, True, 30_999, []),
        ({}, True, 31_000, ["agentDone"]),
        ({"redelivery_s": 60}, True, 31_000, ["agentInterrupted"]),
    ],
)
def test_a_sweep_ends_what_has_outlived_its_time(
    log: ThreadLog, more: dict[str, object], begins: bool, at_ms: int, said: list[str]
) -> None:
    log.accept_run(request("r1", **more), 1_000)
    if begins:
        log.begin_attempt("r1", 30, 1_000)

    assert [event.target for event in log.sweep(at_ms)] == said
    assert log.sweep(at_ms) == ()


def test_a_run_that_is_not_executed_again_fails_in_the_end(log: ThreadLog) -> None:
    begun(log, redelivery_s=60)
    log.sweep(31_000)

    assert [event.target for event in log.sweep(91_000)] == ["agentDone"]
    assert log.runs.get("r1").terminal == Terminal("failed", "producer_lost")


def test_pages_are_bounded_by_count_and_bytes(log: ThreadLog) -> None:
    begun(log)
    log.append(batch("r1", 1, 9), 1_000)
    size = len(everything(log)[-1].json)

    assert len(log.read(None, limit=4, max_bytes=MANY).events) == 4
    assert len(log.read(None, limit=0, max_bytes=MANY).events) == 0
    assert len(log.read(Cursor(1_000, 1), limit=MANY, max_bytes=3 * size).events) == 3
    assert len(log.read(None, limit=MANY, max_bytes=1).events) == 1
    last = log.read(Cursor(1_000, 9), limit=MANY, max_bytes=MANY)
    assert (len(last.events), last.more, last.head) == (1, False, Cursor(1_000, 10))


def test_places_that_are_not_there_are_gone(log: ThreadLog) -> None:
    assert log.read(Cursor(1, 1), limit=1, max_bytes=1).gone
    begun(log)
    log.append(batch("r1", 1, 3), 1_000)

    for at, gone in ((Cursor(1_000, 4), False), (Cursor(1_000, 5), True), (Cursor(999, 1), True)):
        page = log.read(at, limit=MANY, max_bytes=MANY)
        assert page.gone == gone
        assert len(page.events) == (4 if gone else 0)


def test_only_what_a_snapshot_covers_is_trimmed() -> None:
    log = ThreadLog("t", keep_events=3)
    begun(log)
    log.append(batch("r1", 1, 9), 1_000)
    assert len(everything(log)) == 10

    assert log.put_snapshot(Snapshot(Cursor(1_000, 4), (b"x" * 100,)), None)
    assert [event.seq for event in everything(log)] == [5, 6, 7, 8, 9, 10]
    assert not log.read(Cursor(1_000, 4), limit=1, max_bytes=1).gone
    assert log.read(Cursor(1_000, 3), limit=1, max_bytes=1).gone
    log.append(batch("r1", 10), 1_000)
    assert everything(log)[0].seq == 5
    assert not log.put_snapshot(Snapshot(Cursor(1_000, 9), (b"",)), None)
    assert log.put_snapshot(Snapshot(Cursor(1_000, 10), (b"y",)), Cursor(1_000, 4))

    assert [event.seq for event in everything(log)] == [9, 10, 11]
    assert log.size == 1 + sum(len(event.json) for event in everything(log))


def test_the_responses_of_the_runs_that_are_known_count() -> None:
    log = ThreadLog("t", keep_events=0)
    for i in range(205):
        number = begun(log, f"r{i}", message=None)
        end = Terminal("completed", response=b"x" * 100)
        log.append(batch(f"r{i}", 1, attempt=number, end=end), 1_000)
    head = log.read(None, limit=MANY, max_bytes=MANY).head
    assert head is not None
    log.put_snapshot(Snapshot(head, ()), None)

    assert everything(log) == ()
    assert log.runs.find("r4") is None
    assert log.size == 200 * 100


def test_a_producer_ahead_of_the_store_opens_an_epoch(log: ThreadLog) -> None:
    begun(log)
    seen = place(log.append(batch("r1", 1, 3), 1_000))
    log.forget_after(Cursor(1_000, 2))

    for _ in range(2):
        with pytest.raises(EpochChangedError) as raised:
            log.append(batch("r1", 4, seen=seen), 1_000)
    number = log.begin_attempt("r1", 30, 1_000).number
    again = log.append(batch("r1", 1, 4, attempt=number), 1_000)

    assert (place(again).epoch, again.first_seq) == (raised.value.epoch, 1)
    assert place(again).epoch > seen.epoch
    assert log.append(batch("r1", 5, attempt=number, seen=again.cursor), 1_000).first_seq == 5


def test_an_empty_store_opens_an_epoch_too(log: ThreadLog) -> None:
    log.accept_run(request("r1", message=None), 1_000)
    log.begin_attempt("r1", 30, 1_000)

    with pytest.raises(EpochChangedError):
        log.append(batch("r1", 1, seen=Cursor(5_000, 3)), 1_000)
    assert place(log.append(batch("r1", 1), 1_000)).epoch > 5_000


def test_a_batch_repeated_in_another_epoch_has_to_be_said_again(log: ThreadLog) -> None:
    """Somebody else's producer has found the loss meanwhile."""
    begun(log, "r1")
    begun(log, "r2")
    log.append(batch("r1", 1), 1_000)
    seen = log.append(batch("r2", 1), 1_000).cursor
    log.forget_after(Cursor(1_000, 2))
    with pytest.raises(EpochChangedError):
        log.append(batch("r2", 2, seen=seen), 1_000)

    with pytest.raises(EpochChangedError):
        log.append(batch("r1", 1), 1_000)


def test_a_loss_takes_the_snapshot_with_it(log: ThreadLog) -> None:
    begun(log)
    log.append(batch("r1", 1, 5), 1_000)
    log.put_snapshot(Snapshot(Cursor(1_000, 3), (b"",)), None)

    log.forget_after(Cursor(1_000, 3))
    assert log.snapshot is not None
    log.forget_after(Cursor(1_000, 2))
    assert log.snapshot is None


class ThreadMachine(RuleBasedStateMachine):
    """Producers, readers, sweeps and losses in any order; the model is a list of what should be there."""

    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.log = ThreadLog("t", keep_events=6)
        self.now_ms = 1_000
        self.names: list[str] = []
        self.sent: dict[str, tuple[Batch, Appended]] = {}
        self.closed: dict[str, Terminal] = {}
        self.trimmed = 0
        self.expected: list[Event] = []

    def _note(self, events: tuple[Event, ...]) -> None:
        self.expected.extend(events)
        for event in events:
            if event.target == "agentDone":
                name = event.json.split(b'"correlationId":"')[1].split(b'"')[0].decode()
                assert name not in self.closed
                terminal = self.log.runs.get(name).terminal
                assert terminal is not None
                self.closed[name] = terminal

    @initialize()
    def begin(self) -> None:
        self._note(self.log.accept_run(request("r0"), self.now_ms).events)

    @rule(target=runs, redelivery_s=st.sampled_from([0, 60]))
    def accept(self, redelivery_s: int) -> str:
        name = f"r{len(self.names) + 1}"
        self.names.append(name)
        self._note(self.log.accept_run(request(name, redelivery_s=redelivery_s), self.now_ms).events)
        return name

    @rule(name=runs)
    def execute(self, name: str) -> None:
        attempt = self.log.begin_attempt(name, 30, self.now_ms)
        assert attempt.terminal == self.closed.get(name)

    @rule(name=runs, count=st.integers(1, 4), ends=st.booleans())
    def append(self, name: str, count: int, ends: bool) -> None:
        entry = self.log.runs.get(name)
        end = Terminal("completed", response=b"x" * count) if ends else None
        seen = self.sent[name][1].cursor if name in self.sent and self.sent[name][0].attempt == entry.attempt else None
        said = batch(name, entry.next_n, count, attempt=entry.attempt, end=end, seen=seen)
        try:
            appended = self.log.append(said, self.now_ms)
        except RunClosedError:
            assert name in self.closed
            return
        except StaleAttemptError:
            assert entry.state != "executing"
            return
        except EpochChangedError:
            assert seen is not None
            return
        self.sent[name] = (said, appended)
        self._note(appended.events(said.records))

    @rule(name=runs)
    def repeat(self, name: str) -> None:
        said, appended = self.sent.get(name, (None, None))
        if said is None or appended is None:
            return
        try:
            again = self.log.append(said, self.now_ms)
        except EpochChangedError:
            return
        except StaleAttemptError:
            assert self.log.runs.get(name).attempt > said.attempt
            return
        assert (again.cursor, again.repeated) == (appended.cursor, True)

    @rule(name=st.none() | runs)
    def cancel(self, name: str | None) -> None:
        self._note(self.log.cancel(name, self.now_ms).events)

    @rule(name=runs)
    def interrupt(self, name: str) -> None:
        self._note(self.log.interrupt(name, self.log.runs.get(name).attempt, self.now_ms).events)

    @rule(seconds=st.sampled_from([1, 20, 40, 400]))
    def sweep(self, seconds: int) -> None:
        self.now_ms += seconds * 1_000
        self._note(self.log.sweep(self.now_ms))

    @precondition(lambda self: self.expected)
    @rule(data=st.data())
    def snapshot(self, data: st.DataObject) -> None:
        held = everything(self.log)
        old = self.log.snapshot.cursor if self.log.snapshot else None
        places = [Cursor(int(event.epoch), event.seq) for event in held]
        later = [place for place in places if old is None or place > old]
        if later:
            assert self.log.put_snapshot(Snapshot(data.draw(st.sampled_from(later)), (b"state",)), old)

    @rule(name=consumes(runs))
    def forget(self, name: str) -> None:
        """This run is not looked at again."""

    @precondition(lambda self: len(everything(self.log)) > 2)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """A failover, found by the next producer. The places that were lost are not given out again."""
        held = everything(self.log)
        keep = data.draw(st.integers(1, len(held) - 1))
        lost = held[-1]
        self.log.forget_after(Cursor(int(held[keep - 1].epoch), held[keep - 1].seq))
        del self.expected[len(self.expected) - (len(held) - keep) :]
        with pytest.raises(EpochChangedError):
            self.log.append(batch("r0", 99, seen=Cursor(int(lost.epoch), lost.seq)), self.now_ms)

    @invariant()
    def what_is_held_is_the_end_of_what_was_written(self) -> None:
        held = everything(self.log)
        assert list(held) == self.expected[len(self.expected) - len(held) :]
        if len(held) < len(self.expected):
            covered = self.expected[len(self.expected) - len(held) - 1]
            assert self.log.snapshot is None or self.log.snapshot.cursor >= Cursor(int(covered.epoch), covered.seq)

    @invariant()
    def places_have_no_holes_inside_an_epoch(self) -> None:
        for before, event in zip(self.expected, self.expected[1:], strict=False):
            if event.epoch == before.epoch:
                assert event.seq == before.seq + 1
            else:
                assert (int(event.epoch) > int(before.epoch), event.seq) == (True, 1)

    @invariant()
    def runs_end_once(self) -> None:
        for name, terminal in self.closed.items():
            entry = self.log.runs.find(name)
            assert entry is None or entry.terminal == terminal

    @invariant()
    def pages_are_exactly_everything(self) -> None:
        read: list[Event] = []
        after, more = None, True
        while more:
            page = self.log.read(after, limit=2, max_bytes=MANY)
            assert not page.gone
            read.extend(page.events)
            more = page.more
            after = Cursor(int(read[-1].epoch), read[-1].seq) if read else None
        assert read == list(everything(self.log))

    @invariant()
    def the_size_is_that_of_what_is_held(self) -> None:
        snapshot = sum(map(len, self.log.snapshot.parts)) if self.log.snapshot else 0
        responses = sum(len(terminal.response or b"") for terminal in self.closed.values())
        assert self.log.size == snapshot + responses + sum(len(event.json) for event in everything(self.log))


TestThreadMachine = ThreadMachine.TestCase
TestThreadMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
