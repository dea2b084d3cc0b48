"""The soak: hundreds of cuts, a few minutes. ``make soak`` prints the figures; they are no part of the tests.

Every person has two tabs and asks two questions while their connections are cut at random bytes. Afterwards every
tab, and a reload, must show every answer whole.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from typing import Any

from tests.e2e.proxy import cutting_proxy
from tests.e2e.world import play, said, story, storyteller, world


async def soak(*, people: int, cuts: int, seed: int) -> dict[str, Any]:
    """Figures of one round."""
    chance = random.Random(seed)

    def cut_after(so_far: int) -> int | None:
        return chance.randint(200, 8_000) if so_far < cuts else None

    started = time.monotonic()
    agent = storyteller(token_interval_s=0.02)
    async with world(agent) as app, cutting_proxy(app.url, cut_after) as (url, proxy):
        asked = [
            {"headers": {"x-test-user": f"p{i}"}, "prompts": [f"p{i}a", f"p{i}b"], "tabs": 2} for i in range(people)
        ]
        results = await play(url, asked)
    return {
        "seed": seed,
        "people": people,
        "cuts": proxy.cuts,
        "seconds": round(time.monotonic() - started, 1),
        **_faults(results),
    }


def _faults(results: list[dict[str, Any]]) -> dict[str, int]:
    """Compare every tab's words with what was told."""
    lost = doubled = reordered = answers = 0
    for i, result in enumerate(results):
        for state in result["states"]:
            told = [story(f"p{i}a").split(), story(f"p{i}b").split()]
            seen = [text.split() for text in said(state)]
            answers += len(seen)
            for expected, words in zip(told, seen + [[]] * (len(told) - len(seen)), strict=False):
                lost += len(set(expected) - set(words))
                doubled += len(words) - len(set(words))
                reordered += sum(a != b for a, b in zip([w for w in expected if w in set(words)], words, strict=False))
    return {"answers": answers, "lost": lost, "doubled": doubled, "reordered": reordered}


async def main() -> None:
    """Run the rounds that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--cuts", type=int, default=60, help="per round")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    for seed in range(asked.seed, asked.seed + asked.rounds):
        print(await soak(people=asked.people, cuts=asked.cuts, seed=seed), flush=True)  # noqa: T201  its purpose


if __name__ == "__main__":
    asyncio.run(main())
