from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core import utf16
from streamsink.core.conversation import Conversation
from streamsink.core.items import GrowingText, Items

from .vectors import cases, expected_state, fold_events

pieces = st.lists(st.tuples(st.text("ab😀é", max_size=4), st.none() | st.integers(-1, 12)))


@pytest.mark.parametrize("case", cases("fold"), ids=lambda case: case["name"])
def test_items_of_the_folding_vectors(case: dict[str, object]) -> None:
    conversation = Conversation()

    for target, data in fold_events(case):
        conversation.apply(target, data)

    expected = [run["items"] for run in expected_state(case)["runs"]]
    assert [run["items"] for run in conversation.state["runs"]] == expected


@given(pieces)
def test_a_growing_text_is_its_first_units_and_what_is_put_after_them(
    given: list[tuple[str, int | None]],
) -> None:
    growing, text = GrowingText(), ""

    for piece, offset in given:
        growing.put(piece, offset)
        text = (text if offset is None else utf16.split_at(text, offset)[0]) + piece

    assert str(growing) == str(growing) == text


def test_a_long_text_grows_at_the_price_of_its_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    length, looked_at = utf16.length, [0]
    growing = GrowingText()

    def counted(text: str) -> int:
        looked_at[0] += len(text)
        return length(text)

    monkeypatch.setattr(utf16, "length", counted)
    for i in range(1_000):
        growing.put("é", i)

    assert looked_at == [1_000]
    assert max(map(len, growing._pieces)) == 1  # none of them was copied into another
    assert length(str(growing)) == 1_000


def test_an_answer_finds_its_approval_only() -> None:
    items = Items([{"kind": "approval", "approvalId": "a1", "approved": None}])

    assert items.answer("a1", True)
    assert not items.answer("a2", True)
    assert items.list == [{"kind": "approval", "approvalId": "a1", "approved": True}]
