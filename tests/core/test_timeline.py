"""The contract of a timeline itself is checked by ``streamsink.testing.contract``; here are its values."""

from __future__ import annotations

import pytest

from streamsink.core.cursor import Cursor
from streamsink.core.events import Event, Record
from streamsink.core.runs import Appended
from streamsink.core.timeline import Timeline


def test_what_does_not_keep_the_contract_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Timeline()  # type: ignore[abstract]


def test_a_batch_stands_at_consecutive_places() -> None:
    appended = Appended(epoch="1700", first_seq=5, count=2)

    events = appended.events([Record("a", b'{"n":1}'), Record("b", b'{"n":2}')])

    assert events == (Event("a", b'{"n":1}', "1700", 5), Event("b", b'{"n":2}', "1700", 6))
    assert appended.cursor == Cursor(1700, 6)
    assert events[-1].cursor == str(appended.cursor)


def test_a_place_outside_a_history_has_no_cursor() -> None:
    """Not even that of a run whose id is a number."""
    appended = Appended(epoch="17.1700", first_seq=5, count=2)

    assert appended.events([Record("a", b'{"n":1}')]) == (Event("a", b'{"n":1}', "17.1700", 5),)
    assert appended.cursor is None
