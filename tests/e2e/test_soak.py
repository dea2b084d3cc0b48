"""The soak's small, seeded siblings: cuts at any byte, and what can happen to Redis and to Azure."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from tests.e2e.outcomes import faults_of, outcomes, prompts_of
from tests.e2e.places import Cluster
from tests.e2e.soak_signalr import signalr_round
from tests.e2e.troubles import all_speak, command, pair, some_ended, terminals
from tests.e2e.world import play, storyteller, world

if TYPE_CHECKING:
    from tests.e2e.troubles import Pair

pytestmark = [pytest.mark.service, pytest.mark.timeout(150)]

PEOPLE = 6
CUTS = 20
NOTHING = {"lost": 0, "doubled": 0, "reordered": 0, "rewritten": 0}


async def trouble(redis: Pair, on: Cluster) -> int:
    """In the middle of the first answers, and when others follow; says how many connections were killed."""
    await all_speak(on, PEOPLE, events=5)
    await redis.restart()
    await some_ended(on, PEOPLE // 2)
    return int(await command(on.redis_url, "CLIENT", "KILL", "TYPE", "pubsub"))


async def test_nothing_is_lost_doubled_or_out_of_order() -> None:
    chance = random.Random(20_261_122)

    def cut_after(so_far: int) -> int | None:
        return chance.randint(200, 8_000) if so_far < CUTS else None

    async with pair() as redis:
        on = Cluster(redis.url, 2)
        agent = storyteller(token_interval_s=0.025)
        async with world(agent, on=on, cut_after=cut_after) as app:
            async with asyncio.TaskGroup() as tasks:
                troubled = tasks.create_task(trouble(redis, on))
                asked = [
                    {"headers": {"x-test-user": f"p{i}"}, "prompts": prompts_of(i, 2), "tabs": 2} for i in range(PEOPLE)
                ]
                results = await play(app.url, asked)
            ends = await terminals(on)

    assert app.cuts >= CUTS
    assert troubled.result() == 2
    assert faults_of(results) == {"answers": PEOPLE * 2 * 3, **NOTHING}
    assert outcomes(results) == {
        "ended": {"completed": PEOPLE * 2},
        "failed, but whole": 0,
        "ends that tabs saw change": {},
        "tabs that differ from a reload": 0,
        "history, as tabs say": {"kept": PEOPLE * 2},
    }
    assert ends == PEOPLE * 2


async def test_a_bad_day_of_azure_is_not_seen() -> None:
    """Of a hundred messages five fail, five are late, five overtaken and five doubled, and clients are cut."""
    figures = await signalr_round(people=6, prompts=2, cuts=CUTS, seed=7, nodes=2, token_interval_s=0.01)

    assert figures["cuts"] > 0
    assert sum(figures["faults"].values()) > figures["events"] / 20
    assert {name: figures[name] for name in NOTHING} == NOTHING
    assert (figures["ended"], figures["undelivered"]) == ({"completed": 12}, 0)
    assert (figures["tabs that differ from a reload"], figures["history, as tabs say"]) == (0, {"kept": 12})
