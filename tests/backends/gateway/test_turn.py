"""What a loop turn brings to a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.backends.gateway.turn import Turn

from .support import make_event, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from streamsink.core.events import Event


class Hub:
    """Writes down what is published, to so many connections per group."""

    def __init__(self, members: int = 1) -> None:
        self.published: list[tuple[str, list[int]]] = []
        self.calls: list[Callable[[], None]] = []
        self.turn = Turn(self._publish, defer=self.calls.append)
        self._members = members

    def _publish(self, group: str, events: Sequence[Event]) -> int:
        self.published.append((group, [event.seq for event in events]))
        return self._members

    def end_turn(self) -> list[tuple[str, list[int]]]:
        """What leaves at the end of this loop turn."""
        calls, self.calls[:] = tuple(self.calls), ()
        for call in calls:
            call()
        found, self.published = self.published, []
        return found


def test_publishes_to_a_group_are_joined_in_order_when_the_turn_is_over() -> None:
    hub = Hub()
    for group, seqs in (("g", (1, 2)), ("h", (9,)), ("g", (3,))):
        hub.turn.put(group, [make_event(seq) for seq in seqs])
    assert hub.published == []

    assert hub.end_turn() == [("g", [1, 2, 3]), ("h", [9])]
    assert hub.end_turn() == []


def test_the_callers_list_is_its_own() -> None:
    hub, events = Hub(), [make_event(1)]
    hub.turn.put("g", events)
    hub.turn.put("g", [make_event(2)])
    hub.end_turn()

    assert len(events) == 1


def test_many_connections_are_written_to_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamsink.backends.gateway.turn._SLICE", 10)
    hub = Hub(members=5)
    for group in "abc":
        hub.turn.put(group, [make_event(1)])

    assert hub.end_turn() == [("a", [1]), ("b", [1])]
    hub.turn.put("c", [make_event(2)])
    assert hub.end_turn() == [("c", [1, 2])]
    assert hub.end_turn() == []


def test_a_group_can_be_flushed_before_the_turn_is_over() -> None:
    hub = Hub()
    hub.turn.put("g", [make_event(1)])
    hub.turn.put("h", [make_event(2)])

    hub.turn.flush_group("g")
    hub.turn.flush_group("nobody")
    assert hub.published == [("g", [1])]
    hub.turn.flush()
    assert hub.published == [("g", [1]), ("h", [2])]
    hub.published.clear()
    assert hub.end_turn() == []


async def test_the_running_loop_ends_the_turn() -> None:
    hub = Hub()
    turn = Turn(hub._publish)

    turn.put("g", [make_event(1)])
    assert hub.published == []
    await settle()

    assert hub.published == [("g", [1])]
