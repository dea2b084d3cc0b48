"""Nodes that are told to go, and nodes that are killed, with the official client in Node."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.places import Azure, Cluster
from tests.e2e.processes import Fleet, fleet, strangers
from tests.e2e.troubles import all_speak
from tests.e2e.world import play, said, story

if TYPE_CHECKING:
    from streamsink.testing.valkey import ValkeyServer

pytestmark = [pytest.mark.service, pytest.mark.timeout(90)]

PEOPLE = 6


async def people(url: str) -> list[dict[str, Any]]:
    """They ask two questions each, in two tabs."""
    return [
        {"headers": headers, "prompts": [f"p{i}a", f"p{i}b"], "tabs": 2}
        for i, headers in enumerate(await strangers(url, PEOPLE))
    ]


async def leave(nodes: Fleet, on: Cluster) -> int:
    """The first node goes in the middle of all first answers."""
    await all_speak(on, PEOPLE)
    return await nodes.end(next(iter(nodes.nodes)), signal.SIGTERM)


async def test_a_node_that_is_told_to_go_costs_nothing(valkey: ValkeyServer) -> None:
    """It ends its runs; its clients land on another one, and see every character."""
    on = Cluster(valkey.url, 2)
    async with fleet(on, drain_s=20) as (url, nodes), asyncio.TaskGroup() as tasks:
        leaving = tasks.create_task(leave(nodes, on))
        results = await play(url, await people(url))

    assert leaving.result() in (0, -signal.SIGTERM)
    assert sum(sum(result["reconnects"]) for result in results) > 0
    for i, result in enumerate(results):
        assert [said(state) for state in result["states"]] == [[story(f"p{i}a"), story(f"p{i}b")]] * 3
        assert {run["status"] for state in result["states"] for run in state["runs"]} == {"completed"}
        assert {status["history"] for status in result["statuses"]} == {"kept"}


@pytest.mark.parametrize("backend", ["redis", "signalr"])
async def test_a_killed_node_costs_the_rest_of_its_own_runs(valkey: ValkeyServer, backend: str) -> None:
    """Those end ``failed``, and keep what was said; nobody's other runs lose a character."""
    on = Cluster(valkey.url, 2)
    place = Azure(redis=on) if backend == "signalr" else on
    async with fleet(place, lease_s=2) as (url, nodes), asyncio.TaskGroup() as tasks:
        everybody = await people(url)
        killed, other = nodes.nodes
        for person in everybody[::2]:
            person["baseUrl"] = other
        nodes.balancer.targets = [killed]
        tasks.create_task(die(nodes, on))
        results = await play(url, everybody)

    for i, result in enumerate(results):
        for state in result["states"]:
            first, second = state["runs"]
            half, rest = said(state)
            assert (second["status"], rest) == ("completed", story(f"p{i}b"))
            if i % 2 == 0:
                assert (first["status"], half) == ("completed", story(f"p{i}a"))
            else:
                assert (first["status"], first["error"]["code"]) == ("failed", "producer_lost")
                assert half
                assert story(f"p{i}a").startswith(half)
                assert half == said(result["states"][-1])[0]


async def die(nodes: Fleet, on: Cluster) -> None:
    """The first node dies in the middle of all first answers; its people find the other one."""
    await all_speak(on, PEOPLE)
    nodes.balancer.targets = list(nodes.nodes)
    await nodes.end(next(iter(nodes.nodes)))
