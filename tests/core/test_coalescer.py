from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.coalescer import Coalescer, Pacer
from streamsink.core.drafts import Draft, TextDraft, Texts, data_draft
from streamsink.core.errors import StreamOverflowError
from streamsink.core.events import AGENT_CUSTOM, AGENT_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterable


class Speaker:
    """Makes drafts: numbered data, and text that goes on."""

    def __init__(self) -> None:
        self._texts = Texts()

    def text(self, text: str = "x") -> Draft:
        draft = self._texts.piece(AGENT_MESSAGE, "m", text, "append", at_ms=1)
        assert draft is not None
        return draft

    def data(self, number: int = 0) -> Draft:
        return data_draft(AGENT_CUSTOM, {"data": number}, at_ms=1)


@pytest.fixture
def say() -> Speaker:
    return Speaker()


def coalescer(*, window_s: float = 0.1, max_bytes: int = 10_000, per_s: float | None = None) -> Coalescer:
    return Coalescer(window_s=window_s, max_bytes=max_bytes, pacer=Pacer(per_s))


def send(held: Coalescer, now: float) -> list[Draft]:
    drafts = held.take(now)
    held.sent()
    return drafts


def is_due(held: Coalescer, now: float) -> bool:
    due = held.due()
    return due is not None and due <= now


def test_nothing_is_never_due() -> None:
    assert coalescer().due() is None


def test_the_first_text_leaves_at_once_even_right_after_data(say: Speaker) -> None:
    held = coalescer()
    held.push(say.data())
    send(held, now=5.0)

    held.push(say.text())

    assert is_due(held, 5.0)


def test_later_text_waits_for_the_window_after_the_previous_send(say: Speaker) -> None:
    held = coalescer(window_s=0.1)
    held.push(say.text())
    send(held, now=5.0)

    held.push(say.text())
    held.push(say.text())

    assert held.due() == 5.1
    assert len(send(held, now=5.1)) == 1


def test_text_after_a_silence_leaves_at_once(say: Speaker) -> None:
    held = coalescer(window_s=0.1)
    held.push(say.text())
    send(held, now=5.0)

    held.push(say.text())

    assert is_due(held, 60.0)


def test_data_leaves_at_once_and_takes_along_what_waits(say: Speaker) -> None:
    held = coalescer()
    held.push(say.text())
    send(held, now=5.0)
    held.push(say.text())

    held.push(say.data())

    assert is_due(held, 5.0)
    assert len(send(held, now=5.0)) == 2


def test_nothing_leaves_while_a_send_is_in_flight(say: Speaker) -> None:
    held = coalescer(window_s=0.1)
    held.push(say.text())
    held.take(now=5.0)

    held.push(say.data())
    held.push(say.text())

    assert held.due() is None
    held.sent()
    assert is_due(held, 5.0)


def test_a_budget_widens_the_window_for_everybody_who_shares_it(say: Speaker) -> None:
    pacer = Pacer(2)
    one, two = (Coalescer(window_s=0.1, max_bytes=10_000, pacer=pacer) for _ in range(2))
    one.push(say.text())
    two.push(say.data())

    send(one, now=5.0)

    assert two.due() == 5.5
    send(two, now=5.5)
    two.push(say.data())
    assert two.due() == 6.0


def test_a_budget_counts_messages_not_sends(say: Speaker) -> None:
    held = coalescer(per_s=10)
    for number in range(5):
        held.push(say.data(number))

    send(held, now=5.0)

    held.push(say.data())
    assert held.due() == 5.5


def test_the_last_batch_spends_the_budget_but_does_not_wait_for_it(say: Speaker) -> None:
    pacer = Pacer(10)
    held = Coalescer(window_s=0.1, max_bytes=10_000, pacer=pacer)
    held.push(say.text())

    assert len(held.drain(now=5.0)) == 1
    assert pacer.next_at() == pytest.approx(5.2)  # with the terminal
    assert len(held.drain(now=5.0)) == 0


def test_a_budget_that_was_not_used_is_not_saved_up() -> None:
    pacer = Pacer(1)
    pacer.spend(0.0)

    pacer.spend(100.0)

    assert pacer.next_at() == 101.0


def test_what_merging_saves_is_counted_when_it_leaves(say: Speaker) -> None:
    pacer = Pacer()
    held = Coalescer(window_s=0.1, max_bytes=10_000, pacer=pacer)
    for _ in range(5):
        held.push(say.text())
    assert pacer.merged == 0
    send(held, 0.0)
    held.push(say.data())
    held.push(say.text())
    held.push(say.text())
    held.drain(1.0)

    assert pacer.merged == 4 + 1


def test_past_the_bound_nothing_is_taken(say: Speaker) -> None:
    held = coalescer(max_bytes=300)
    held.push(say.text("a"))

    with pytest.raises(StreamOverflowError, match="STREAM_MAX_BUFFER_BYTES"):
        held.push(say.text("b" * 100))

    (kept,) = held.drain(now=0.0)
    assert isinstance(kept, TextDraft)
    assert kept.parts == ["a"]
    assert held.size == 0


def test_a_draft_exactly_at_the_bound_is_taken(say: Speaker) -> None:
    draft = say.text()

    held = coalescer(max_bytes=draft.size)
    held.push(draft)

    assert held.size == draft.size


def said(drafts: Iterable[Draft]) -> list[str]:
    """Numbers and letters in order, however they are merged."""
    return [
        letter
        for draft in drafts
        for letter in ("".join(draft.parts) if isinstance(draft, TextDraft) else [bytes(draft.fields["data"]).decode()])
    ]


actions = st.lists(st.one_of(st.just("text"), st.just("data"), st.just("send"), st.just("sent"), st.floats(0.001, 0.5)))


@given(actions, st.sampled_from([0.0, 0.1]), st.sampled_from([None, 20.0]))
def test_nothing_is_lost_doubled_or_out_of_order(
    actions: list[str | float], window_s: float, per_s: float | None
) -> None:
    held, say = coalescer(window_s=window_s, max_bytes=10**6, per_s=per_s), Speaker()
    pushed: list[str] = []
    left: list[Draft] = []
    now = 1.0
    for n, action in enumerate(actions):
        match action:
            case float():
                now += action
            case "text":
                pushed.append(chr(0x4E00 + n))
                held.push(say.text(pushed[-1]))
            case "data":
                pushed.append(str(n))
                held.push(say.data(n))
            case "send" if is_due(held, now):
                left.extend(held.take(now))
            case "sent":
                held.sent()
    left.extend(held.drain(now))

    assert said(left) == pushed
