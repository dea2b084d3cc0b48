"""The soak on Azure SignalR Service: a bad day of the service, and clients that are cut at any byte.

Every message and every join may be refused before or after it was carried out, be late, overtake the next one or come
twice; twenty people ask all the while. Every answer must be whole in every tab, at any time a beginning of itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from streamsink.backends.signalr.twin import Fault, Faults
from streamsink.core.measures import Measures
from streamsink.testing.valkey import ValkeyServer
from tests.e2e.outcomes import faults_of, outcomes, prompts_of
from tests.e2e.places import Azure, Cluster
from tests.e2e.world import play, storyteller, world

if TYPE_CHECKING:
    from tests.e2e.world import World

__all__ = ["bad_day", "signalr_round"]

_FIVE_PERCENT: Final = 0.05
# A 429 stops everything that the process sends for a second, so a few are many.
_THROTTLED: Final = 0.0007
# Of connections, at exact bytes. Were it all, an answer of many bytes would never come.
_CUT: Final = 0.3
_PAUSE_S: Final = (0.2, 0.8)
_EXPIRED: Final = 0.04
_TOLD: Final = ("messages", "retried", "throttled", "failed", "redelivered", "undelivered")


def bad_day(seed: int) -> Faults:
    """Of a hundred sends five fail, in every way there is; five others are late, five overtaken, and five doubled."""
    faults = Faults(seed=seed)
    faults.inject("send", delay_s=0.15, probability=_FIVE_PERCENT)
    faults.inject("send", reorder=True, probability=_FIVE_PERCENT)
    faults.inject("send", duplicate=True, probability=_FIVE_PERCENT)
    faults.inject("send", status=429, probability=_THROTTLED)
    faults.inject("send", status=429, retry_after_s=1, probability=_THROTTLED)
    for on in ("send", "join"):
        faults.inject(on, status=503, probability=0.015)
        faults.inject(on, status=500, after=True, probability=0.015)
        faults.inject(on, drop=True, probability=0.01)
        faults.inject(on, drop=True, after=True, probability=0.01)
    faults.inject("join", delay_s=0.3, probability=_FIVE_PERCENT)
    faults.inject("negotiate", status=503, probability=_FIVE_PERCENT)
    return faults


async def signalr_round(
    *, people: int, prompts: int, cuts: int, seed: int, nodes: int = 1, token_interval_s: float = 0.02
) -> dict[str, Any]:
    """Figures of one round.

    Args:
        prompts: of each of them.
        cuts: at most so many are at exact bytes, by each of the proxies; others come at any time.
        nodes: more than one keep their timelines in Redis.
    """
    chance, started = random.Random(seed), time.monotonic()

    def cut_after(so_far: int) -> int | None:
        return chance.randint(200, 20_000) if so_far < cuts and chance.random() < _CUT else None

    async with AsyncExitStack() as stack:
        redis = None
        if nodes > 1:
            redis = Cluster(stack.enter_context(ValkeyServer()).url, nodes)
        faults = bad_day(seed)
        on = Azure(redis=redis, faults=faults)
        agent = storyteller(token_interval_s=token_interval_s)
        app = await stack.enter_async_context(world(agent, on=on, cut_after=cut_after))
        done = Counter[str]()
        trouble = asyncio.create_task(_trouble(app, random.Random(seed), done))
        asked = [
            {"headers": {"x-test-user": f"p{i}"}, "prompts": prompts_of(i, prompts), "tabs": 2} for i in range(people)
        ]
        try:
            results = await play(app.url, asked)
        finally:
            trouble.cancel()
            await asyncio.wait({trouble})
        return {
            "seed": seed,
            "nodes": nodes,
            "people": people,
            "seconds": round(time.monotonic() - started, 1),
            "events": sum(_events(result) for result in results),
            "cuts": app.cuts + done["severed"],
            "tokens expired": done["expired"],
            "faults": _happened(faults),
            **_sent(app),
            **faults_of(results),
            **outcomes(results),
        }


async def _trouble(app: World, chance: random.Random, done: Counter[str]) -> None:
    """Cut some client of the service, again and again; now and then, refuse every token for the rest of the second."""
    assert app.service is not None
    while True:
        await asyncio.sleep(chance.uniform(*_PAUSE_S))
        done["severed"] += app.service.faults.cut_clients(1)
        if chance.random() < _EXPIRED:
            app.service.faults.expire_tokens()
            done["expired"] += 1


def _events(result: dict[str, Any]) -> int:
    """How many events a thread has: their places are numbered."""
    return int(result["states"][-1]["cursor"].rpartition(":")[2])


def _happened(faults: Faults) -> dict[str, int]:
    found = Counter[str]()
    for fault, count in faults.happened.items():
        found[f"{fault.on} {_what(fault)}"] += count
    return dict(sorted(found.items()))


def _what(fault: Fault) -> str:
    if fault.fails:
        how = "broken off" if fault.drop else f"{fault.status}"
        retry = "" if fault.retry_after_s is None else " with Retry-After"
        return f"{how}{retry}{' though done' if fault.after else ''}"
    return "late" if fault.delay_s else "doubled" if fault.duplicate else "overtaken"


def _sent(app: World) -> dict[str, Any]:
    """What the nodes say of themselves."""
    measured = Counter[str]()
    for sink in app.sinks:
        measures = sink.ability(Measures)
        assert measures is not None
        measured.update(measures.measure())
    return {name: measured[name] for name in _TOLD}
