"""The official client in Node, through the published connection module."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.places import Cluster
from tests.e2e.world import play, said, story, storyteller, world

if TYPE_CHECKING:
    from streamsink.testing.valkey import ValkeyServer
    from tests.e2e.places import Place

pytestmark = [pytest.mark.service, pytest.mark.timeout(150)]

CUTS_IN_CI = 20


def person(name: str, *prompts: str, tabs: int = 1) -> dict[str, Any]:
    return {"headers": {"x-test-user": name}, "prompts": list(prompts), "tabs": tabs}


async def test_people_at_once_see_their_own_threads_and_nothing_else(on: Place) -> None:
    people = [person(f"user{i}", f"u{i}a", f"u{i}b") for i in range(8)]

    async with world(on=on) as app:
        results = await play(app.url, people)

    for i, result in enumerate(results):
        for state in result["states"]:
            assert said(state) == [story(f"u{i}a"), story(f"u{i}b")]
            assert [run["messages"][0]["text"] for run in state["runs"]] == [f"u{i}a", f"u{i}b"]


async def test_a_second_tab_and_a_reload_equal_the_first(on: Place) -> None:
    async with world(on=on) as app:
        [result] = await play(app.url, [person("ann", "one", "two", "three", tabs=3)])

    first = without_cursor(result["states"][0])
    assert said(first) == [story("one"), story("two"), story("three")]
    assert [without_cursor(state) for state in result["states"]] == [first] * 4


async def test_cut_connections_leave_the_same_conversation(on: Place) -> None:
    """Seeded cuts at any byte, of live connections and of HTTP answers alike."""
    cuts, results = await play_with_cuts(people=6, cuts=CUTS_IN_CI, seed=20_261_122, on=on)

    assert cuts >= CUTS_IN_CI
    check(results)


async def test_no_two_requests_need_the_same_node(valkey: ValkeyServer) -> None:
    """Each node takes connections of one person: making the thread, negotiate, socket, join and run are anywhere."""
    async with world(on=Cluster(valkey.url, 3)) as app:
        [result] = await play(app.url, [person("ann", "one", "two", tabs=3)])

    assert len(app.front.taken) == 3
    assert [said(state) for state in result["states"]] == [[story("one"), story("two")]] * 4


async def play_with_cuts(*, people: int, cuts: int, seed: int, on: Place) -> tuple[int, list[dict[str, Any]]]:
    """Two turns each, in two tabs; connections are cut after random numbers of bytes, until there were enough."""
    chance = random.Random(seed)

    def cut_after(so_far: int) -> int | None:
        return chance.randint(200, 8_000) if so_far < cuts else None

    agent = storyteller(token_interval_s=0.01)
    async with world(agent, on=on, cut_after=cut_after) as app:
        results = await play(app.url, [person(f"p{i}", f"p{i}a", f"p{i}b", tabs=2) for i in range(people)])
    return app.cuts, results


def check(results: list[dict[str, Any]]) -> None:
    """Nothing lost, nothing doubled, nothing out of order, in any tab."""
    for i, result in enumerate(results):
        for state in result["states"]:
            assert said(state) == [story(f"p{i}a"), story(f"p{i}b")]
            assert [run["status"] for run in state["runs"]] == ["completed", "completed"]
            assert [len(run["messages"]) for run in state["runs"]] == [1, 1]
        assert {status["history"] for status in result["statuses"]} == {"kept"}


def without_cursor(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name != "cursor"}
