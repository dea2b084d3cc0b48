from __future__ import annotations

import time

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


def test_a_long_text_grows_at_the_price_of_its_pieces() -> None:
    growing = GrowingText()
    began = time.process_time()

    for i in range(200_000):
        growing.put("é", i)

    # Seconds where every piece would copy the whole text; a tenth of one otherwise.
    assert time.process_time() - began < 2.0
    assert utf16.length(str(growing)) == 200_000


def test_an_answer_finds_its_approval_only() -> None:
    items = Items([{"kind": "approval", "approvalId": "a1", "approved": None}])

    assert items.answer("a1", True)
    assert not items.answer("a2", True)
    assert items.list == [{"kind": "approval", "approvalId": "a1", "approved": True}]
