"""The hub."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from streamsink.backends.gateway.hub import Hub
from streamsink.backends.gateway.json_protocol import JSON, JsonProtocol
from streamsink.backends.gateway.turn import SLICE
from streamsink.core.errors import ConnectionGoneError, ForbiddenError

from .support import RecordingTransport, at_once, make_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from streamsink.backends.gateway.frame import Frame
    from streamsink.core.events import Event


class CountingProtocol(JsonProtocol):
    """Counts how often it encodes events."""

    def __init__(self) -> None:
        super().__init__()
        self.encodings = 0

    def frame(self, batches: Sequence[Iterable[Event]]) -> Frame:
        self.encodings += 1
        return super().frame(batches)


@pytest.fixture
def hub() -> Hub:
    return Hub(max_followed_events=2, defer=at_once)


def connect(hub: Hub, connection_id: str, user_id: str | None = None, group: str = "g") -> RecordingTransport:
    transport = RecordingTransport()
    hub.connect(connection_id, user_id, protocol=JSON, transport=transport)
    hub.join(group, connection_id, user_id)
    return transport


def test_all_members_get_the_same_frame(hub: Hub) -> None:
    members = [connect(hub, f"c{number}") for number in range(3)]
    stranger = connect(hub, "x", group="other")

    hub.publish("g", [make_event(1), make_event(2)])

    (frame,) = members[0].frames
    assert frame.payload == JSON.frame([[make_event(1), make_event(2)]]).payload
    assert all(member.frames[0] is frame for member in members)
    assert stranger.frames == []


def test_events_are_encoded_once_per_protocol(hub: Hub) -> None:
    protocols = [CountingProtocol(), CountingProtocol()]
    for number in range(6):
        hub.connect(f"c{number}", None, protocol=protocols[number % 2], transport=RecordingTransport())
        hub.join("g", f"c{number}")

    hub.publish("g", [make_event()])

    assert [protocol.encodings for protocol in protocols] == [1, 1]


def test_groups_keep_their_case_and_order(hub: Hub) -> None:
    upper, lower = connect(hub, "c1", group="G"), connect(hub, "c2", group="g")
    for seq in (1, 2):
        hub.publish("g", [make_event(seq)])
    hub.publish("nobody", [make_event()])

    assert upper.frames == []
    assert [b'"seq":%d' % seq in lower.frames[seq - 1].payload for seq in (1, 2)] == [True, True]
    assert len(lower.frames) == 2


def test_what_one_turn_brings_is_one_frame_and_the_callers_list_is_its_own() -> None:
    calls: list[Callable[[], None]] = []
    hub, events = Hub(defer=calls.append), [make_event(1)]
    member = connect(hub, "c1")

    hub.publish("g", events)
    hub.publish("g", [make_event(2)])
    assert member.frames == []
    for call in calls:
        call()

    assert [frame.payload for frame in member.frames] == [JSON.frame([[make_event(1), make_event(2)]]).payload]
    assert len(events) == 1


async def test_who_comes_and_goes_gets_what_is_published_meanwhile() -> None:
    hub = Hub(defer=lambda _: None)
    first = connect(hub, "c1")
    hub.publish("g", [make_event(1)])
    second = connect(hub, "c2")
    hub.publish("g", [make_event(2)])
    hub.leave("g", "c1")
    async with hub.subscribe("g") as events:
        hub.publish("g", [make_event(3)])
        hub.dissolve("g")

        assert [event.seq async for event in events] == [3]
    assert [len(member.frames) for member in (first, second)] == [2, 2]


def test_what_came_together_is_written_to_a_single_member_at_once() -> None:
    calls: list[Callable[[], None]] = []
    hub = Hub(defer=calls.append)
    member = connect(hub, "c1")
    hub.publish_together("nobody", [[make_event(1)]])

    hub.publish_together("g", [[make_event(1)], [make_event(2)]])
    assert ([frame.payload for frame in member.frames], calls) == (
        [JSON.frame([[make_event(1), make_event(2)]]).payload],
        [],
    )

    hub.publish("g", [make_event(3)])
    hub.publish_together("g", [[make_event(4)]])
    assert len(member.frames) == 1
    calls.pop(0)()
    assert member.frames[1].payload == JSON.frame([[make_event(3), make_event(4)]]).payload

    member.is_behind = True
    hub.publish_together("g", [[make_event(5)]])
    assert (hub.slow_readers, hub.members("g")) == (1, [])


async def test_what_came_together_waits_for_the_turn_where_several_hear_it() -> None:
    calls: list[Callable[[], None]] = []
    hub = Hub(defer=calls.append)
    members = [connect(hub, "c1"), connect(hub, "c2")]
    hub.publish_together("g", [[make_event(1)], [make_event(2)]])
    assert members[0].frames == members[1].frames == []
    calls.pop(0)()
    assert [len(member.frames) for member in members] == [1, 1]

    hub.leave("g", "c2")
    async with hub.subscribe("g") as events:
        hub.publish_together("g", [[make_event(3)]])
        calls.pop(0)()
        assert (await anext(events)).seq == 3
    assert [len(member.frames) for member in members] == [2, 1]


def test_a_group_of_many_is_written_to_in_several_turns() -> None:
    """Nobody else waits for more than a slice of it; order is kept, and who has gone is passed over."""
    calls: list[Callable[[], None]] = []
    hub = Hub(defer=calls.append)
    members = [connect(hub, f"c{number}") for number in range(2 * SLICE + 1)]
    other = connect(hub, "x", group="other")
    hub.publish("g", [make_event(1)])
    hub.publish("other", [make_event(1)])

    calls.pop(0)()
    hub.publish("g", [make_event(2)])
    hub.disconnect(f"c{SLICE}")
    assert [len(member.frames) for member in members] == [1] * SLICE + [0] * (SLICE + 1)
    while calls:
        calls.pop(0)()

    first, second = (JSON.frame([[make_event(seq)]]).payload for seq in (1, 2))
    assert {tuple(frame.payload for frame in member.frames) for member in members} == {(first, second), ()}
    assert [bool(member.frames) for member in members].index(False) == SLICE
    assert len({id(member.frames[0]) for member in members if member.frames}) == 1
    assert len(other.frames) == 1


def test_who_comes_to_a_group_of_many_does_not_overtake() -> None:
    calls: list[Callable[[], None]] = []
    hub = Hub(defer=calls.append)
    members = [connect(hub, f"c{number}") for number in range(2 * SLICE + 1)]
    hub.publish("g", [make_event(1)])
    calls.pop(0)()
    assert members[-1].frames == []

    late = connect(hub, "late")

    assert len(members[-1].frames) == 1
    while calls:
        calls.pop(0)()
    assert (late.frames, {len(member.frames) for member in members}) == ([], {1})


def test_a_slow_member_that_joins_again_is_gone() -> None:
    hub = Hub(defer=lambda _: None)
    slow = connect(hub, "c1")
    hub.publish("g", [make_event(1)])
    slow.is_behind = True

    with pytest.raises(ConnectionGoneError):
        hub.join("g", "c1")

    assert hub._groups == {}


def test_a_slow_member_is_closed_and_counted_and_nobody_else_notices(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    """Check 49."""
    caplog.set_level(logging.INFO, "streamsink")
    slow, other = connect(hub, "slow"), connect(hub, "other")
    hub.publish("g", [make_event(1)])
    slow.is_behind = True

    hub.publish("g", [make_event(2)])
    hub.publish("g", [make_event(3)])

    assert len(slow.frames) == 1
    assert slow.closed == [("The connection cannot keep up.", True, True)]
    assert len(other.frames) == 3
    assert hub.slow_readers == 1
    assert hub.members("g") == ["other"]
    assert "slow" not in hub
    assert "slow" in caplog.text


def test_a_joined_connection_is_reached_until_it_leaves(hub: Hub) -> None:
    transport = connect(hub, "c1", "ann")
    hub.join("g", "c1", "ann")
    hub.publish("g", [make_event()])

    hub.leave("g", "c1", "ann")
    hub.leave("g", "c1")
    hub.leave("g", "gone", "ann")
    hub.publish("g", [make_event()])

    assert len(transport.frames) == 1
    assert hub.members("g") == []


@pytest.mark.parametrize("owner", ["bob", None])
def test_only_its_user_joins_or_removes_a_connection(hub: Hub, owner: str | None) -> None:
    hub.connect("c1", owner, protocol=JSON, transport=RecordingTransport())

    with pytest.raises(ForbiddenError):
        hub.join("g", "c1", "ann")
    with pytest.raises(ForbiddenError):
        hub.leave("g", "c1", "ann")
    hub.join("g", "c1")

    assert hub.members("g") == ["c1"]


def test_an_unknown_connection_cannot_join(hub: Hub) -> None:
    with pytest.raises(ConnectionGoneError):
        hub.join("g", "gone", "ann")

    assert hub.members("g") == []


def test_a_lost_connection_leaves_every_group(hub: Hub) -> None:
    connect(hub, "c1")
    hub.join("h", "c1")

    hub.disconnect("c1")
    hub.disconnect("c1")

    assert (len(hub), hub.members("g"), hub.members("h")) == (0, [], [])
    assert hub._groups == {}


def test_a_closed_connection_is_gone_at_once(hub: Hub) -> None:
    transport = connect(hub, "c1")

    assert hub.close("c1", "bye", allow_reconnect=True)
    assert not hub.close("c1")

    assert transport.closed == [("bye", True, False)]
    assert hub.members("g") == []


async def test_a_dissolved_group_keeps_its_connections_elsewhere(hub: Hub) -> None:
    transport = connect(hub, "c1")
    hub.join("h", "c1")
    async with hub.subscribe("g") as events:
        hub.dissolve("g")
        hub.dissolve("g")
        hub.publish("g", [make_event()])

        assert [event async for event in events] == []
    hub.publish("h", [make_event()])
    hub.disconnect("c1")

    assert len(transport.frames) == 1
    assert hub._groups == {}


async def test_followers_see_every_event_until_they_leave(hub: Hub) -> None:
    async with hub.subscribe("g") as first, hub.subscribe("g") as second:
        hub.publish("g", [make_event(1), make_event(2)])

        assert (await anext(first)).seq == (await anext(second)).seq == 1
    hub.publish("g", [make_event(3)])

    assert hub._groups == {}


async def test_a_slow_follower_delays_nobody(hub: Hub) -> None:
    member = connect(hub, "c1")
    async with hub.subscribe("g"):
        for seq in range(5):
            hub.publish("g", [make_event(seq)])

    assert len(member.frames) == 5


async def test_drain_sends_everybody_away(hub: Hub) -> None:
    transports = [connect(hub, "c1"), connect(hub, "c2", group="h")]
    async with hub.subscribe("g") as events:
        await hub.drain()
        await hub.drain()

        assert [event async for event in events] == []
    async with hub.subscribe("g") as late:
        assert [event async for event in late] == []

    assert [transport.closed for transport in transports] == [[(None, True, False)]] * 2
    assert hub.is_draining
    assert len(hub) == 0


async def test_draining_holds_nobody_up(hub: Hub) -> None:
    """Those that were there are closed in several loop turns; one that is gone when its turn comes is passed over."""
    transports = [connect(hub, f"c{n}") for n in range(500)]

    draining = asyncio.create_task(hub.drain())
    await asyncio.sleep(0)
    at_first = sum(bool(transport.closed) for transport in transports)
    hub.disconnect("c499")
    await draining

    assert 0 < at_first < 250
    assert [len(transport.closed) for transport in transports] == [1] * 499 + [0]
    assert len(hub) == 0


async def test_publishing_makes_no_task(hub: Hub) -> None:
    for number in range(50):
        connect(hub, f"c{number}")
    before = len(asyncio.all_tasks())

    hub.publish("g", [make_event()])

    assert len(asyncio.all_tasks()) == before
