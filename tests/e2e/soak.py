"""The soak: hundreds of cuts, a few minutes. ``make soak`` prints the figures; they are no part of the tests.

Every person has two tabs and asks several questions while their connections are cut. Afterwards every tab, and a
reload, must show every answer whole. With ``--redis`` (``make soak ARGS=--redis``) three nodes in processes of their
own serve them, and in turn a node is killed, Redis is restarted, paused for ten seconds and failed over to a replica
that is a second behind: then answers may end early, but what is shown of them is their beginning, in order, once.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.e2e.places import Cluster
from tests.e2e.processes import Fleet, fleet, strangers
from tests.e2e.troubles import Pair, events_kept, pair, terminals
from tests.e2e.world import play, said, story, storyteller, world

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.e2e.proxy import CuttingProxy

__all__ = ["faults", "outcomes", "prompts_of"]

# With three nodes: lost producers are noticed soon, but a server that is silent for ten seconds loses none.
_LEASE_S = 15
_QUEUE_TIMEOUT_S = 60
_PAUSE_S = 10.0
_BEHIND_S = 1.0
_BETWEEN_S = 8.0
_RUN_S = 120.0


def prompts_of(person: int, count: int) -> list[str]:
    """What somebody asks."""
    return [f"p{person}{chr(ord('a') + i)}" for i in range(count)]


def faults(results: list[dict[str, Any]]) -> dict[str, int]:
    """Compare every tab's words with what was told. Of an answer that ended early they are its beginning."""
    lost = doubled = reordered = answers = 0
    for i, result in enumerate(results):
        for state in result["states"]:
            for run, prompt, text in zip(state["runs"], prompts_of(i, len(state["runs"])), said(state), strict=True):
                words, told = text.split(), story(prompt).split()
                told = told if run["status"] == "completed" else told[: len(words)]
                answers += 1
                lost += len(set(told) - set(words))
                doubled += len(words) - len(set(words))
                reordered += sum(a != b for a, b in zip([w for w in told if w in set(words)], words, strict=False))
    return {"answers": answers, "lost": lost, "doubled": doubled, "reordered": reordered}


def outcomes(results: list[dict[str, Any]]) -> dict[str, Any]:
    """How runs ended, and how tabs that were there all the time differ from a reload, in what they show or say."""
    ends, differing, told, turned, whole = Counter[str](), 0, Counter[str](), Counter[str](), 0
    for i, result in enumerate(results):
        *tabs, reload = result["states"]
        ends.update(f"{run['status']} {(run['error'] or {}).get('code', '')}".strip() for run in reload["runs"])
        differing += sum(_shown(tab) != _shown(reload) for tab in tabs)
        told.update(status["history"] for status in result["statuses"])
        turned.update(result["turned"])
        answers = zip(reload["runs"], prompts_of(i, len(reload["runs"])), said(reload), strict=True)
        whole += sum(run["status"] == "failed" and text == story(prompt) for run, prompt, text in answers)
    return {
        "ended": dict(ends),
        "failed, but whole": whole,
        "ends that tabs saw change": dict(turned),
        "tabs that differ from a reload": differing,
        "history, as tabs say": dict(told),
    }


def _shown(state: dict[str, Any]) -> list[tuple[str, str]]:
    return [(run["status"], text) for run, text in zip(state["runs"], said(state), strict=True)]


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
        **faults(results),
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
        **faults(results),
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


async def rounds(asked: argparse.Namespace) -> Iterable[dict[str, Any]]:
    """Figures of all rounds."""
    one = redis_soak if asked.redis else soak
    people, cuts = (20, 50) if asked.redis else (8, 60)
    return [
        await one(people=asked.people or people, cuts=asked.cuts or cuts, seed=seed)
        for seed in range(asked.seed, asked.seed + (asked.rounds or (1 if asked.redis else 4)))
    ]


async def main() -> None:
    """Run the rounds that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis", action="store_true", help="three nodes on Redis, with every kind of trouble")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--people", type=int)
    parser.add_argument("--cuts", type=int, help="per round")
    parser.add_argument("--seed", type=int, default=1)
    for figures in await rounds(parser.parse_args()):
        say(figures)


if __name__ == "__main__":
    asyncio.run(main())
