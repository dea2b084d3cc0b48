"""The contract of a timeline itself is checked by ``streamsink.testing.contract``; here are its values."""

from __future__ import annotations

import pytest

from streamsink.core.cursor import Cursor
from streamsink.core.events import Record
from streamsink.core.runs import Appended
from streamsink.core.timeline import Timeline


def test_what_does_not_keep_the_contract_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Timeline()  # type: ignore[abstract]


def test_a_batch_stands_at_consecutive_places() -> None:
    appended = Appended(epoch="1700", first_seq=5, count=2)

    first, second = Record("a", b'{"n":1}'), Record("b", b'{"n":2}')
    events = appended.events([first, second])

    assert events == (first.at("1700", 5), second.at("1700", 6))
    assert appended.cursor == Cursor(1700, 6)
    assert events[-1].cursor == str(appended.cursor)


def test_a_place_outside_a_history_has_no_cursor() -> None:
    """Not even that of a run whose id is a number."""
    appended = Appended(epoch="17.1700", first_seq=5, count=2)

    record = Record("a", b'{"n":1}')

    assert appended.events([record]) == (record.at("17.1700", 5),)
    assert appended.cursor is None


def test_a_timeline_that_has_made_the_events_gives_them_away() -> None:
    record = Record("a", b'{"n":1}')
    placed = (record.at("1700", 5),)

    assert Appended(epoch="1700", first_seq=5, count=1, placed=placed).events([record]) is placed
