"""Memberships that outlive connections."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.signalr.twin.user_groups import MAX_WITHOUT_TTL, UserGroups

from .support import ManualClock

YEAR_S = 365 * 86_400


def make() -> tuple[UserGroups, ManualClock]:
    clock = ManualClock()
    return UserGroups(clock), clock


def test_a_time_to_live_ends() -> None:
    groups, clock = make()
    groups.add("u", "g", 10)
    clock.now += 9.9
    assert (groups.of("u"), groups.has("u", "g")) == (["g"], True)

    clock.now += 0.1

    assert (groups.has("u", "g"), groups.of("u"), groups.of("u")) == (False, [], [])


def test_without_one_a_year() -> None:
    groups, clock = make()
    groups.add("u", "g", None)
    clock.now += YEAR_S - 1
    assert groups.of("u") == ["g"]

    clock.now += 1

    assert groups.of("u") == []


def test_zero_changes_nothing_that_is_remembered() -> None:
    groups, _ = make()
    groups.add("u", "g", 0)
    assert groups.of("u") == []
    groups.add("u", "g", 10)
    groups.add("u", "g", 0)

    assert groups.has("u", "g")


def test_the_latest_addition_counts() -> None:
    groups, clock = make()
    groups.add("u", "g", 10)
    groups.add("u", "g", None)
    clock.now += 11
    assert groups.has("u", "g")
    groups.add("u", "g", 1)
    clock.now += 1

    assert not groups.has("u", "g")


def test_an_addition_makes_a_group_the_newest() -> None:
    groups, _ = make()
    for number in range(MAX_WITHOUT_TTL):
        groups.add("u", str(number), None)
    groups.add("u", "0", None)
    groups.add("u", "new", None)

    assert not groups.has("u", "1")
    assert groups.of("u")[-2:] == ["0", "new"]
    assert len(groups.of("u")) == MAX_WITHOUT_TTL


def test_removal() -> None:
    groups, _ = make()
    for name in "abc":
        groups.add("u", name, None)
    groups.remove("u", "a")
    groups.remove("u", "a")
    groups.remove("nobody", "a")
    groups.remove("nobody")
    assert groups.of("u") == ["b", "c"]

    groups.remove("u")

    assert (groups.of("u"), groups.of("nobody"), groups.of(None)) == ([], [], [])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "remove", "wait"]),
            st.integers(0, 130),
            st.one_of(st.none(), st.integers(0, 20)),
        ),
        max_size=300,
    )
)
def test_what_is_said_of_a_group_is_what_a_connection_joins(steps: list[tuple[str, int, int | None]]) -> None:
    groups, clock = make()
    for what, number, ttl_s in steps:
        if what == "add":
            groups.add("u", str(number), ttl_s)
        elif what == "remove":
            groups.remove("u", str(number))
        else:
            clock.now += number
        known = {str(each) for each in range(131) if groups.has("u", str(each))}
        assert known == set(groups.of("u"))
        assert not groups.has("other", str(number))
