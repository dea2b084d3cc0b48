"""The soak's small, seeded sibling: cuts at any byte, a restart of Redis, and a killed connection of its channels."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from tests.e2e.places import Cluster
from tests.e2e.soak import faults, outcomes, prompts_of
from tests.e2e.troubles import all_speak, command, pair, some_ended, terminals
from tests.e2e.world import play, storyteller, world

if TYPE_CHECKING:
    from tests.e2e.troubles import Pair

pytestmark = [pytest.mark.service, pytest.mark.timeout(90)]

PEOPLE = 6
CUTS = 20


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
    assert faults(results) == {"answers": PEOPLE * 2 * 3, "lost": 0, "doubled": 0, "reordered": 0}
    assert outcomes(results) == {
        "ended": {"completed": PEOPLE * 2},
        "failed, but whole": 0,
        "ends that tabs saw change": {},
        "tabs that differ from a reload": 0,
        "history, as tabs say": {"kept": PEOPLE * 2},
    }
    assert ends == PEOPLE * 2
