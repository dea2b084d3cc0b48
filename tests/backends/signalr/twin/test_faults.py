"""Rules, and what is drawn from them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.gateway.audience import Audience
from streamsink.backends.gateway.messages import Invocation
from streamsink.backends.signalr.twin import Fault, Faults
from streamsink.backends.signalr.twin.carrier import Carrier
from streamsink.backends.signalr.twin.fault_text import parse_fault
from streamsink.backends.signalr.twin.faults import Failure, Plan
from streamsink.backends.signalr.twin.operations import Operation, Send

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"on": "sned", "status": 500}, "the operation should be one of"),
        ({"probability": 1.5, "status": 500}, "probability"),
        ({"probability": float("nan"), "status": 500}, "probability"),
        ({"count": 0, "status": 500}, "count"),
        ({"delay_s": -1}, "delay_s"),
        ({"status": 200}, "status should be"),
        ({"status": 500, "drop": True}, "not both"),
        ({"drop": True, "retry_after_s": 1}, "retry_after_s"),
        ({"delay_s": 1, "after": True}, "after"),
        ({}, "nothing goes wrong"),
    ],
)
def test_rules_make_sense(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Fault(**{"on": "send", **fields})


def test_nothing_goes_wrong_until_told() -> None:
    faults = Faults()

    assert faults.draw("send") == Plan()
    assert not Plan().fails(after=False)


def test_rules_add_up_and_the_first_failure_counts() -> None:
    faults = Faults()
    faults.inject("send", delay_s=1, duplicate=True)
    faults.inject("*", status=429, retry_after_s=2)
    faults.inject("send", drop=True, after=True, delay_s=2, reorder=True)

    assert faults.draw("send") == Plan(3, 2, True, Failure(429, 2, after=False))
    assert faults.draw("join") == Plan(0, 1, False, Failure(429, 2, after=False))
    assert faults.draw("negotiate") == Plan()


def test_rules_can_be_counted_removed_and_cleared() -> None:
    faults = Faults()
    twice = faults.inject("send", status=500, count=2)
    always = faults.inject("send", delay_s=1)

    assert [faults.draw("send").failure is None for _ in range(3)] == [False, False, True]
    assert (faults.happened[twice], faults.happened[always]) == (2, 3)
    faults.remove(always)
    faults.remove(always)
    assert faults.draw("send") == Plan()
    faults.inject("send", status=500)
    faults.clear()
    assert faults.draw("send") == Plan()


@given(seed=st.integers(), probability=st.floats(0, 1))
def test_a_seed_repeats_itself(seed: int, probability: float) -> None:
    def luck() -> list[Plan]:
        faults = Faults(seed=seed)
        faults.inject("send", drop=True, probability=probability)
        return [faults.draw("send") for _ in range(50)]

    assert luck() == luck()


def test_a_probability_is_about_that() -> None:
    faults = Faults(seed=1)
    fault = faults.inject("send", status=500, probability=0.25)
    for _ in range(1000):
        faults.draw("send")

    assert 200 < faults.happened[fault] < 300


def test_who_is_cut_is_chosen_by_the_seed() -> None:
    def cut(faults: Faults) -> list[int]:
        chosen: list[int] = []

        def choose(them: Any) -> int:
            chosen.extend(them(range(100)))
            return len(chosen)

        faults.attach(cut=choose, expire=lambda: None)
        assert faults.cut_clients(3) == 3
        return chosen

    assert cut(Faults(seed=5)) == cut(Faults(seed=5))
    assert cut(Faults(seed=5)) != cut(Faults(seed=6))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("send:status=503,after,probability=0.05", {"on": "send", "status": 503, "after": True, "probability": 0.05}),
        (" * : drop , count=2 ,", {"on": "*", "drop": True, "count": 2}),
        ("negotiate:status=429,retry_after_s=2", {"on": "negotiate", "status": 429, "retry_after_s": 2}),
        ("join:delay_s=0.5,duplicate,reorder", {"on": "join", "delay_s": 0.5, "duplicate": True, "reorder": True}),
    ],
)
def test_the_command_line_writes_rules(text: str, fields: dict[str, Any]) -> None:
    found, expected = parse_fault(text), Fault(**fields)

    assert {name: getattr(found, name) for name in Fault.__slots__} == {
        name: getattr(expected, name) for name in Fault.__slots__
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("send", "nothing goes wrong"),
        ("send:", "nothing goes wrong"),
        ("send:drop=1", "'drop=1' should be one of drop, after, duplicate, reorder, probability=…"),
        ("send:status", "should be one of"),
        ("send:on=join", "should be one of"),
        ("send:status=x", "status should be a number, not 'x'"),
        ("send:drop,drop", "drop is there twice"),
        ("bogus:drop", "the operation should be one of"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_fault(text)


def send(number: int, group: str = "g", **more: Any) -> Send:
    return Send("chat", Audience(group=group, **more), Invocation(str(number), []))


class Carried:
    """What was performed, by the number of the send."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.may_go = asyncio.Event()
        self.carrier = Carrier(self._perform, Faults(sleep=lambda _: self.may_go.wait()))

    def _perform(self, operation: Operation) -> None:
        assert isinstance(operation, Send)
        self.numbers.append(int(operation.call.target))

    def carry(self, plans: Sequence[tuple[Send, Plan]]) -> None:
        for one, plan in plans:
            self.carrier.carry(one, plan)


async def test_at_most_one_send_of_an_audience_is_held() -> None:
    carried, held = Carried(), Plan(reorder=True)

    carried.carry([(send(1), held), (send(2, excluded={"x"}), held), (send(3), held), (send(4, "other"), Plan())])

    assert carried.numbers == [2, 1, 4]
    await carried.carrier.aclose()


async def test_what_is_held_goes_after_a_while() -> None:
    carried = Carried()
    carried.carry([(send(1), Plan(reorder=True, copies=2)), (send(2, "other"), Plan(copies=2))])
    assert carried.numbers == [1, 2, 2]

    carried.may_go.set()
    for _ in range(3):
        await asyncio.sleep(0)

    assert carried.numbers == [1, 2, 2, 1]
    carried.carry([(send(3), Plan())])
    assert carried.numbers[4:] == [3]
    await carried.carrier.aclose()


async def test_what_was_let_go_is_not_sent_again() -> None:
    carried = Carried()
    carried.carry([(send(1), Plan(reorder=True)), (send(2), Plan())])
    carried.may_go.set()
    for _ in range(3):
        await asyncio.sleep(0)

    assert carried.numbers == [2, 1]
    await carried.carrier.aclose()
