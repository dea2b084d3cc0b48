"""What a loop turn brings to a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamsink.backends.gateway.turn import Turn

from .support import settle

if TYPE_CHECKING:
    from collections.abc import Callable


class Groups:
    """Writes down which group was written to, to so many connections each."""

    def __init__(self, members: int = 1) -> None:
        self.written: list[str] = []
        self.calls: list[Callable[[], None]] = []
        self.turn = Turn(self.write, defer=self.calls.append)
        self._members = members

    def write(self, group: str) -> int:
        if group == "broken":
            raise RuntimeError("no such group")
        self.written.append(group)
        return self._members

    def end_turn(self) -> list[str]:
        """What leaves at the end of this loop turn."""
        calls, self.calls[:] = tuple(self.calls), ()
        for call in calls:
            call()
        found, self.written = self.written, []
        return found


def test_groups_are_written_to_in_order_when_the_turn_is_over() -> None:
    groups = Groups()
    for group in "gh":
        groups.turn.add(group)
    assert groups.written == []

    assert groups.end_turn() == ["g", "h"]
    assert groups.end_turn() == []


def test_many_connections_are_written_to_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamsink.backends.gateway.turn.SLICE", 10)
    groups = Groups(members=5)
    for group in "abc":
        groups.turn.add(group)

    assert groups.end_turn() == ["a", "b"]
    groups.turn.add("d")
    assert groups.end_turn() == ["c", "d"]
    assert groups.end_turn() == []


def test_all_can_be_flushed_before_the_turn_is_over() -> None:
    groups = Groups()
    groups.turn.add("g")

    groups.turn.flush()
    assert groups.written == ["g"]
    groups.written.clear()
    assert groups.end_turn() == []


def test_a_group_that_fails_delays_the_others_by_a_turn() -> None:
    groups = Groups()
    for group in ("broken", "g"):
        groups.turn.add(group)

    with pytest.raises(RuntimeError, match="no such group"):
        groups.end_turn()

    assert groups.end_turn() == ["g"]


async def test_the_running_loop_ends_the_turn() -> None:
    groups = Groups()
    turn = Turn(groups.write)

    turn.add("g")
    assert groups.written == []
    await settle()

    assert groups.written == ["g"]
