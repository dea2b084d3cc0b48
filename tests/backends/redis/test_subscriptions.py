"""Which channels are wanted, asked for and confirmed on a connection that comes and goes."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsink.backends.redis.subscriptions import Subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

A, B = b"a", b"b"
PING = (b"PING",)


class Hearer:
    """A listener that only counts."""

    def __init__(self) -> None:
        self.gaps = 0

    def on_messages(self, payloads: Sequence[bytes]) -> None:
        """Nothing to be kept."""

    def on_gap(self) -> None:
        self.gaps += 1


def subscribe(channel: bytes) -> tuple[bytes, ...]:
    return b"SSUBSCRIBE", channel


def unsubscribe(channel: bytes) -> tuple[bytes, ...]:
    return b"SUNSUBSCRIBE", channel


@pytest.fixture
def state() -> Subscriptions[str]:
    connected: Subscriptions[str] = Subscriptions()
    connected.connected()
    return connected


@pytest.fixture
def one() -> Hearer:
    return Hearer()


def confirm(state: Subscriptions[str], channel: bytes, *listeners: Hearer) -> None:
    """Let listeners listen, all the way."""
    for number, listener in enumerate(listeners):
        if not state.listen(channel, listener, f"w{number}"):
            state.output()
            assert state.subscribed(channel).confirmed == [f"w{number}"]
            state.done(channel, listener, f"w{number}")


def test_a_first_listen_subscribes_and_waits(state: Subscriptions[str], one: Hearer) -> None:
    assert state.output() == []
    assert not state.listen(A, one, "w")
    assert state.has_output
    assert state.output() == [subscribe(A)]
    assert state.output() == []

    told = state.subscribed(A)

    assert (told.confirmed, told.refused, told.gaps, told.must_reconnect) == (["w"], [], [], False)
    assert state.routes == {A: (one,)}


def test_a_confirmed_channel_needs_no_waiting(state: Subscriptions[str], one: Hearer) -> None:
    confirm(state, A, one)

    assert state.listen(A, Hearer(), "other")
    assert state.listen(A, one, "again")
    assert state.output() == []
    assert len(state.routes[A]) == 2


def test_concurrent_first_listens_share_one_command(state: Subscriptions[str], one: Hearer) -> None:
    state.listen(A, one, "w1")
    state.listen(A, one, "w2")
    state.output()
    state.listen(A, Hearer(), "w3")

    assert state.output() == []
    assert state.subscribed(A).confirmed == ["w1", "w2", "w3"]


def test_the_last_to_leave_unsubscribes(state: Subscriptions[str], one: Hearer) -> None:
    other = Hearer()
    confirm(state, A, one, other)

    assert state.unlisten(A, one) == []
    assert state.output() == []
    assert state.unlisten(A, other) == []
    assert state.unlisten(A, other) == []
    assert state.output() == [unsubscribe(A)]
    assert state.routes == {}
    state.unsubscribed(A)
    assert not state.has_output


def test_what_is_taken_back_in_the_same_turn_is_not_sent(state: Subscriptions[str], one: Hearer) -> None:
    state.listen(A, one, "w")
    assert state.unlisten(A, one) == ["w"]
    assert state.output() == []

    confirm(state, A, one)
    state.unlisten(A, one)
    assert state.listen(A, one, "again")
    assert state.output() == []


def test_leaving_and_coming_back_under_way_waits_for_its_own_confirmation(
    state: Subscriptions[str], one: Hearer
) -> None:
    state.listen(A, one, "first")
    sent = state.output()
    assert state.unlisten(A, one) == ["first"]
    sent += state.output()
    state.listen(A, one, "second")
    sent += state.output()
    assert sent == [subscribe(A), unsubscribe(A), subscribe(A)]

    assert state.subscribed(A).confirmed == []
    state.unsubscribed(A)
    told = state.subscribed(A)

    assert (told.confirmed, told.gaps) == (["second"], [])


def test_after_a_loss_everything_wanted_is_asked_for_again(state: Subscriptions[str], one: Hearer) -> None:
    waiting = Hearer()
    confirm(state, A, one)
    confirm(state, B, Hearer())
    for listener in list(state.routes[B]):
        state.unlisten(B, listener)
    state.output()
    state.listen(b"c", waiting, "w")
    state.output()

    state.disconnected()

    assert not state.has_output
    assert state.output() == []
    assert not state.listen(A, Hearer(), "late")
    state.connected()
    assert state.output() == [subscribe(A), subscribe(b"c")]
    told = state.subscribed(A)
    assert (told.confirmed, told.gaps) == (["late"], [one])
    told = state.subscribed(b"c")
    assert (told.confirmed, told.gaps) == (["w"], [])


def test_nothing_is_kept_of_what_came_and_went_without_a_connection(one: Hearer) -> None:
    state: Subscriptions[str] = Subscriptions()
    state.listen(A, one, "w")
    assert state.unlisten(A, one) == ["w"]

    state.connected()

    assert not state.has_output
    assert not state._channels


def test_giving_up_leaves_the_channel(state: Subscriptions[str], one: Hearer) -> None:
    state.listen(A, one, "w")
    state.output()

    state.give_up(A, one, "w")
    state.give_up(A, one, "w")

    assert state.routes == {}
    assert state.output() == [unsubscribe(A)]


def test_giving_up_does_not_hurt_others_of_the_same_listener(state: Subscriptions[str], one: Hearer) -> None:
    state.listen(A, one, "patient")
    state.listen(A, one, "not")
    state.output()
    state.give_up(A, one, "not")
    state.subscribed(A)
    state.done(A, one, "patient")
    assert state.routes == {A: (one,)}

    state.disconnected()
    state.listen(A, one, "later")
    state.give_up(A, one, "later")
    assert state.routes == {A: (one,)}


def test_giving_up_in_the_turn_of_the_confirmation_leaves_too(state: Subscriptions[str], one: Hearer) -> None:
    state.listen(A, one, "w")
    state.output()
    assert state.subscribed(A).confirmed == ["w"]

    state.give_up(A, one, "w")

    assert state.output() == [unsubscribe(A)]
    state.done(A, one, "w")  # too late
    assert state.routes == {}


def test_a_refusal_is_told_and_leaves_nothing(state: Subscriptions[str], one: Hearer) -> None:
    state.listen(A, one, "w")
    state.output()

    told = state.refused()
    state.give_up(A, one, "w")

    assert (told.confirmed, told.refused, told.must_reconnect, told.channel) == ([], ["w"], False, A)
    assert state.output() == []
    assert not state._channels


def test_after_a_refusal_somebody_may_ask_again(state: Subscriptions[str], one: Hearer) -> None:
    state.listen(A, one, "w1")
    state.output()
    state.refused()
    state.listen(A, one, "w2")  # before the first has been told
    state.give_up(A, one, "w1")

    assert state.output() == [subscribe(A)]
    assert state.subscribed(A).confirmed == ["w2"]


def test_a_refusal_to_leave_changes_nothing(state: Subscriptions[str], one: Hearer) -> None:
    confirm(state, A, one)
    state.unlisten(A, one)
    state.output()

    told = state.refused()
    assert (told.refused, told.channel) == ([], None)
    assert not state._channels


def test_a_refusal_of_what_was_taken_back_is_nobodys(state: Subscriptions[str], one: Hearer) -> None:
    state.listen(A, one, "w")
    state.output()
    state.unlisten(A, one)
    state.output()

    assert state.refused().refused == []
    state.unsubscribed(A)
    assert not state._channels


def test_a_channel_that_the_server_gave_away_is_asked_for_again(state: Subscriptions[str], one: Hearer) -> None:
    confirm(state, A, one)

    state.unsubscribed(A)

    assert not state.listen(A, Hearer(), "other")
    assert state.output() == [subscribe(A)]
    told = state.subscribed(A)
    assert (told.confirmed, told.gaps) == (["other"], [one])


def test_a_channel_that_the_server_refuses_to_take_back_needs_another_connection(
    state: Subscriptions[str], one: Hearer
) -> None:
    confirm(state, A, one)
    state.unsubscribed(A)
    state.output()

    assert state.refused().must_reconnect

    state.disconnected()
    state.connected()
    assert state.output() == [subscribe(A)]
    assert state.subscribed(A).gaps == [one]


def test_a_channel_given_away_while_it_is_left_is_left(state: Subscriptions[str], one: Hearer) -> None:
    confirm(state, A, one)
    state.unlisten(A, one)
    state.output()
    state.unsubscribed(A)  # the server's own doing
    state.listen(A, one, "w")
    state.output()
    state.unsubscribed(A)  # the answer

    assert state.subscribed(A).confirmed == ["w"]
    state.unsubscribed(B)  # nobody knows it
    assert state.output() == []


def test_a_channel_given_away_while_another_is_left_is_asked_for_again(state: Subscriptions[str], one: Hearer) -> None:
    confirm(state, A, one)
    confirm(state, B, one)
    state.unlisten(B, one)
    state.output()

    state.unsubscribed(A)  # the server's own doing, before its answer
    assert state.output() == [subscribe(A)]
    state.unsubscribed(B)

    assert state.subscribed(A).gaps == [one]
    assert set(state._channels) == {A}


def test_pings_are_answered_in_their_place(state: Subscriptions[str], one: Hearer) -> None:
    state.ping()
    state.listen(A, one, "w")
    assert state.output() == [PING, subscribe(A)]
    with pytest.raises(ValueError, match="not asked for"):
        state.subscribed(A)
    state.ponged()
    state.subscribed(A)

    state.ping()
    state.output()
    assert state.refused().refused == []  # it may not ping, but it is there
    state.ping()
    state.disconnected()
    state.connected()
    assert PING not in state.output()


@pytest.mark.parametrize(
    "reply",
    [lambda s: s.subscribed(A), lambda s: s.ponged(), lambda s: s.refused()],
    ids=["subscribed", "pong", "error"],
)
def test_replies_to_nothing_are_errors(
    state: Subscriptions[str], reply: Callable[[Subscriptions[str]], object]
) -> None:
    with pytest.raises(ValueError, match=r"no|not"):
        reply(state)


def test_commands_come_in_bounded_portions_in_order(state: Subscriptions[str], one: Hearer) -> None:
    names = [b"%d" % number for number in range(5)]
    for name in names:
        state.listen(name, one, "w")

    portions = [state.output(2), state.output(2), state.output(2)]

    assert [len(portion) for portion in portions] == [2, 2, 1]
    assert [command for portion in portions for command in portion] == [subscribe(name) for name in names]
    assert not state.has_output


class World:
    """A server that answers in order, and everybody who listens."""

    def __init__(self) -> None:
        self.state: Subscriptions[int] = Subscriptions()
        self.listeners = [Hearer(), Hearer()]
        self.waiting: dict[int, tuple[bytes, int]] = {}
        self.kept: set[tuple[bytes, int]] = set()
        self.owed: set[tuple[bytes, int]] = set()  # gaps
        self.asked = 0
        self.is_connected = False
        self.subscribed: set[bytes] = set()
        self.commands: deque[tuple[bytes, ...]] = deque()
        self.replies: deque[tuple[bytes, bytes]] = deque()

    @property
    def wanted(self) -> set[bytes]:
        return {channel for channel, _ in (*self.kept, *self.waiting.values())}

    def listen(self, channel: bytes, number: int) -> None:
        self.asked += 1
        if not self.state.listen(channel, self.listeners[number], self.asked):
            self.waiting[self.asked] = (channel, number)
        elif (channel, number) not in self.kept:
            self._keep(channel, number)

    def _keep(self, channel: bytes, number: int) -> None:
        self.kept.add((channel, number))
        if channel not in self.subscribed:  # given away meanwhile, which nobody has heard yet
            self.owed.add((channel, number))

    def unlisten(self, channel: bytes, number: int) -> None:
        for waiter in self.state.unlisten(channel, self.listeners[number]):
            del self.waiting[waiter]
        self.kept.discard((channel, number))
        self.owed.discard((channel, number))
        assert (channel, number) not in self.waiting.values()

    def give_up(self, channel: bytes, number: int) -> None:
        for waiter, place in tuple(self.waiting.items()):
            if place == (channel, number):
                self.state.give_up(channel, self.listeners[number], waiter)
                del self.waiting[waiter]

    def connect(self, *_: object) -> None:
        if not self.is_connected:
            self.is_connected = True
            self.state.connected()

    def lose(self, *_: object) -> None:
        self.is_connected = False
        self.subscribed.clear()
        self.commands.clear()
        self.replies.clear()
        self.state.disconnected()
        self.owed |= self.kept

    def turn(self, *_: object) -> None:
        self.commands += self.state.output(2)

    def ping(self, *_: object) -> None:
        self.state.ping()

    def serve(self, *_: object) -> None:
        if self.commands:
            verb, *channels = self.commands.popleft()
            if verb == b"SSUBSCRIBE":
                self.subscribed |= set(channels)
            elif verb == b"SUNSUBSCRIBE":
                self.subscribed -= set(channels)
            self.replies.append((verb, b"".join(channels)))

    def refuse(self, *_: object) -> None:
        if self.commands and self.commands[0][0] == b"SSUBSCRIBE" and self.commands[0][1] not in self.subscribed:
            self.commands.popleft()
            self.replies.append((b"error", b""))

    def give_away(self, channel: bytes, _: int) -> None:
        if channel in self.subscribed:
            self.subscribed.discard(channel)
            self.replies.append((b"SUNSUBSCRIBE", channel))
            self.owed |= {place for place in self.kept if place[0] == channel}

    def read(self, *_: object) -> None:
        if not self.replies:
            return
        verb, channel = self.replies.popleft()
        if verb == b"PING":
            self.state.ponged()
        elif verb == b"SUNSUBSCRIBE":
            self.state.unsubscribed(channel)
        elif verb == b"error":
            self._take_refusal()
        else:
            self._take_confirmation(channel)

    def _take_confirmation(self, channel: bytes) -> None:
        told = self.state.subscribed(channel)
        for listener in told.gaps:
            number = next(n for n, each in enumerate(self.listeners) if each is listener)
            self.owed.remove((channel, number))
            self._keep(channel, number)
        for waiter in told.confirmed:
            channel, number = self.waiting.pop(waiter)
            self.state.done(channel, self.listeners[number], waiter)
            self._keep(channel, number)

    def _take_refusal(self) -> None:
        told = self.state.refused()
        for waiter in told.refused:
            channel, number = self.waiting.pop(waiter)
            self.state.give_up(channel, self.listeners[number], waiter)
        if told.must_reconnect:
            self.lose()

    def settle(self) -> None:
        while not self.is_connected or self.state.has_output or self.commands or self.replies:
            self.connect()
            self.turn()
            self.serve()
            self.read()


USUAL = (World.listen, World.unlisten, World.turn, World.serve, World.read)
RARE = (World.give_up, World.lose, World.connect, World.refuse, World.give_away, World.ping)


@settings(max_examples=500)
@given(
    st.lists(
        st.tuples(st.sampled_from(USUAL * 3 + RARE), st.sampled_from((A, B)), st.sampled_from((0, 1))),
        min_size=10,
        max_size=80,
    )
)
def test_whatever_happens_it_ends_with_what_is_wanted(
    steps: list[tuple[Callable[[World, bytes, int], None], bytes, int]],
) -> None:
    world = World()
    world.connect()
    for step, channel, number in steps:
        step(world, channel, number)

    world.settle()

    assert world.subscribed == world.wanted == set(world.state.routes)
    assert not world.waiting
    assert not world.owed
    heard = {(channel, n) for channel, who in world.state.routes.items() for n, each in enumerate(world.listeners)
             if each in who}  # fmt: skip
    assert heard == world.kept
    assert set(world.state._channels) == world.wanted
