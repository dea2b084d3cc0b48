"""Which master has which slot."""

from __future__ import annotations

from typing import Any

import pytest

from streamsink.backends.redis.endpoint import Address
from streamsink.backends.redis.slots import SlotMap, moved_to

from .support import SLOTS, in_third

ASKED = Address("asked", 1)
ONE, TWO = Address("one", 6379), Address("two", 6380)
HALVES = [
    [0, SLOTS // 2 - 1, [b"one", 6379, b"id"], [b"three", 6379, b"id"]],
    [SLOTS // 2, SLOTS - 1, [b"two", 6380, b"id", []]],
]


def test_each_key_has_a_master() -> None:
    found = SlotMap.read(HALVES, ASKED)

    assert found.masters == {ONE, TWO}
    assert set(found.servers) == {ONE, TWO, Address("three", 6379)}
    assert [found.master_of(in_third(third, "k").encode()) for third in (0, 2)] == [ONE, TWO]
    assert found.master_of(b"p:{%b}:s" % in_third(0, "k").encode()) == ONE
    assert found == SlotMap.read(HALVES, ASKED)
    assert found != SlotMap()


def test_a_slot_moves() -> None:
    found, key = SlotMap.read(HALVES, ASKED), in_third(0, "k").encode()
    found.move(key, Address("four", 1))

    assert found.master_of(key) == Address("four", 1)
    assert Address("four", 1) in found.servers
    assert found.master_of(in_third(0, "other").encode()) == ONE


def test_what_is_not_covered_has_no_master() -> None:
    found = SlotMap.read(HALVES[:1], ASKED)

    assert found.master_of(in_third(2, "k").encode()) is None
    assert SlotMap.read([], ASKED).masters == set()


def test_a_server_may_not_know_its_own_host() -> None:
    found = SlotMap.read([[0, SLOTS - 1, [b"", 7, b"id"], [None, 8, b"id"], [b"?", 9, b"id"]]], ASKED)

    assert found.servers == (Address("asked", 7), Address("asked", 8))


@pytest.mark.parametrize(
    "reply",
    [None, 1, b"OK", ValueError("ERR no cluster"), [1], [[0, 1]], [[0, 1, []]], [[0, SLOTS, [b"h", 1]]],
     [[b"a", b"b", [b"h", 1]]], [[0, 1, [b"h", b"x"]]], [[-5, 1, [b"h", 1]]], [[0, 1, [1, 1]]]],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(reply: Any) -> None:
    with pytest.raises(ValueError, match="no map"):
        SlotMap.read(reply, ASKED)


def test_there_are_keys_at_each_master() -> None:
    found = SlotMap.read(HALVES, ASKED)
    keys = list(found.keys_on_each(b"k"))

    assert {found.master_of(key) for key in keys} == {ONE, TWO}
    assert len(keys) == 2
    assert all(key.startswith(b"k:") for key in keys)
    assert list(SlotMap().keys_on_each(b"k")) == []


@pytest.mark.parametrize(
    ("words", "there"),
    [("MOVED 1 h:2", Address("h", 2)), ("MOVED 1 ::1:2", Address("::1", 2)), ("MOVED 1 :2", Address("asked", 2)),
     ("MOVED 1 ?:2", None), ("MOVED 1", None), ("MOVED 1 h:x", None), ("MOVED", None)],
)  # fmt: skip
def test_a_server_says_where_a_slot_is(words: str, there: Address | None) -> None:
    assert moved_to(words, ASKED) == there
