from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.cursor import Cursor
from streamsink.core.errors import InvalidRequestError

LARGEST = 2**53 - 1
numbers = st.integers(0, LARGEST)


@given(numbers, numbers)
def test_a_cursor_is_read_as_it_was_written(epoch: int, seq: int) -> None:
    assert Cursor.parse(str(Cursor(epoch, seq))) == Cursor(epoch, seq)


def test_nothing_is_the_place_before_everything() -> None:
    assert Cursor.parse("") is None


@given(numbers, numbers, numbers, numbers)
def test_cursors_order_by_epoch_then_seq(epoch: int, seq: int, other_epoch: int, other_seq: int) -> None:
    assert (Cursor(epoch, seq) < Cursor(other_epoch, other_seq)) == ((epoch, seq) < (other_epoch, other_seq))


@pytest.mark.parametrize(
    "text",
    ["1", ":", "1:", ":1", "a:1", "1:b", "1:2:3", "-1:2", "1:+2", " 1:2", "1:2 ", "1.5:2", "²:1", "٣:1", "1:2~1",
     f"{LARGEST + 1}:1", f"1:{LARGEST + 1}", "1:" + "0" * 17, "1" * 5000 + ":1"],
)  # fmt: skip
def test_what_no_timeline_gave_out_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="as it was given out"):
        Cursor.parse(text)
