"""The soak: hundreds of cuts, a few minutes. ``make soak`` prints the figures; they are no part of the tests.

Every person has two tabs and asks several questions while their connections are cut. Afterwards every tab, and a
reload, must show every answer whole. With ``--redis`` (``make soak ARGS=--redis``) three nodes in processes of their
own serve them, and in turn a node is killed, Redis is restarted, paused for ten seconds and failed over to a replica
that is a second behind: then answers may end early, but what is shown of them is their beginning, in order, once.
``--signalr`` is in soak_signalr.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

from tests.e2e.outcomes import faults_of, outcomes, prompts_of
from tests.e2e.places import Cluster
from tests.e2e.processes import Fleet, fleet, strangers
from tests.e2e.soak_signalr import signalr_round
from tests.e2e.troubles import Pair, events_kept, pair, terminals
from tests.e2e.world import play, storyteller, world

if TYPE_CHECKING:
    from tests.e2e.proxy import CuttingProxy

# With three nodes: lost producers are noticed soon, but a server that is silent for ten seconds loses none.
_LEASE_S = 15
_QUEUE_TIMEOUT_S = 60
_PAUSE_S = 10.0
_BEHIND_S = 1.0
_BETWEEN_S = 8.0
_RUN_S = 120.0


async def soak(*, people: int, cuts: int, seed: int) -> dict[str, Any]:
    """Figures of one round on the memory backend: cuts after random numbers of bytes."""
    chance = random.Random(seed)

    def cut_after(so_far: int) -> int | None:
        return chance.randint(200, 8_000) if so_far < cuts else None

    started = time.monotonic()
    agent = storyteller(token_interval_s=0.02)
    async with world(agent, cut_after=cut_after) as app:
        asked = [{"headers": {"x-test-user": f"p{i}"}, "prompts": prompts_of(i, 2), "tabs": 2} for i in range(people)]
        results = await play(app.url, asked)
    return {
        "seed": seed,
        "people": people,
        "cuts": app.cuts,
        "seconds": round(time.monotonic() - started, 1),
        **faults_of(results),
        **outcomes(results),
    }


async def redis_soak(*, people: int, cuts: int, seed: int, prompts: int = 6) -> dict[str, Any]:
    """Figures of one round on three nodes."""
    started = time.monotonic()
    async with pair() as redis:
        on = Cluster(redis.url, 3)
        settings = {"lease_s": _LEASE_S, "queue_timeout_s": _QUEUE_TIMEOUT_S}
        async with fleet(on, token_interval_s=0.1, **settings) as (url, nodes):
            asked = [
                {"headers": headers, "prompts": prompts_of(i, prompts), "tabs": 2}
                for i, headers in enumerate(await strangers(url, people))
            ]
            troubles = asyncio.create_task(trouble(redis, nodes))
            cutting = asyncio.create_task(cut(nodes.balancer, cuts, random.Random(seed)))
            results = await play(url, asked, wait_s=_RUN_S)
            assert troubles.done(), "the answers were too short for all the trouble"
            await asyncio.gather(troubles, cutting)
        figures = {"events kept": await events_kept(on), "ends kept": await terminals(on)}
    return {
        "seed": seed,
        "people": people,
        "cuts": nodes.balancer.cuts,
        "seconds": round(time.monotonic() - started, 1),
        **figures,
        **faults_of(results),
        **outcomes(results),
        "reconnects": sum(sum(result["reconnects"]) for result in results),
    }


async def trouble(redis: Pair, nodes: Fleet) -> None:
    """One thing after the other."""
    await asyncio.sleep(_BETWEEN_S)
    await kill_a_node(nodes)
    await asyncio.sleep(_BETWEEN_S)
    await redis.restart()
    await asyncio.sleep(_BETWEEN_S)
    await redis.pause(_PAUSE_S)
    await asyncio.sleep(_BETWEEN_S)
    await redis.fail_over(behind_s=_BEHIND_S)
    await asyncio.sleep(_BETWEEN_S)
    await kill_a_node(nodes)


async def kill_a_node(nodes: Fleet) -> None:
    """With kill -9; another one is started."""
    await nodes.end(next(iter(nodes.nodes)))
    await nodes.start()


async def cut(balancer: CuttingProxy, times: int, chance: random.Random) -> None:
    """Some client's connection, again and again."""
    while balancer.cuts < times:
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        balancer.cut_one(chance)


def say(line: object) -> None:
    print(line, flush=True)  # noqa: T201  its purpose


async def one_round(asked: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Figures of the round that was asked for."""
    if asked.signalr:
        people, cuts = asked.people or 20, asked.cuts or 100
        nodes = 2 if asked.redis else 1
        return await signalr_round(people=people, prompts=asked.prompts or 24, cuts=cuts, seed=seed, nodes=nodes)
    if asked.redis:
        return await redis_soak(people=asked.people or 20, cuts=asked.cuts or 50, seed=seed, prompts=asked.prompts or 6)
    return await soak(people=asked.people or 8, cuts=asked.cuts or 60, seed=seed)


async def main() -> None:
    """Run the rounds that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis", action="store_true", help="three nodes on Redis, with every kind of trouble")
    parser.add_argument("--signalr", action="store_true", help="a bad day of Azure; with --redis, two nodes on Redis")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--people", type=int)
    parser.add_argument("--prompts", type=int, help="of each of them")
    parser.add_argument("--cuts", type=int, help="per round")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    for seed in range(asked.seed, asked.seed + (asked.rounds or (1 if asked.redis or asked.signalr else 4))):
        say(await one_round(asked, seed))


if __name__ == "__main__":
    asyncio.run(main())
