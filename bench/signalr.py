"""``python -m bench.signalr``: requests and delays of the signalr backend, beside one request per token."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
from statistics import median, quantiles

from bench.processes import GATEWAY_CORE, Process, python
from bench.senders import THREAD, Model, Ours, RequestPerToken, Sender, open_sink
from streamsink.backends.signalr.connection_string import ConnectionString
from streamsink.core.identity import User
from streamsink.testing.signalr import SignalRClient, signalr_client

WAYS: dict[str, type[Sender]] = {"ours": Ours, "one request per token": RequestPerToken}
RATES = (20, 75, 500)
WAIT_S = 300.0
GOAL_RATE, GOAL_REQUESTS = 75, 130
HEAD = (
    "| tokens/s | way | requests per 1000 tokens | first token, ms | p50 | p99 | last token |\n"
    "|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Figures:
    """Of one run. Times in seconds, from when the model says something to when the client has it."""

    requests: float
    first: float
    p50: float
    p99: float
    last: float


async def measure(way: type[Sender], model: Model, delay_s: float) -> Figures:
    """One run, with a service and a client of its own."""
    with Process(python("bench.service", str(delay_s)), GATEWAY_CORE) as process:
        service = ConnectionString.parse(process.read()["connection_string"], "the service's")
        async with (
            open_sink(service) as sink,
            signalr_client(await sink.connect_info(User(subject="ann"), "")) as client,
        ):
            await sink.join(THREAD, client.connection_id, user_id=None)
            watching = asyncio.create_task(_shown(client, model.tokens))
            asked = await way(service).run(model)
            shown = await watching
        requests = process.ask("count")["sends"]
    delays = [at - asked - model.said_at(number) for number, at in enumerate(shown)]
    return Figures(
        requests=requests * 1000 / model.tokens,
        first=delays[0],
        p50=median(delays),
        p99=quantiles(delays, n=100)[98],
        last=delays[-1],
    )


async def _shown(client: SignalRClient, tokens: int) -> list[float]:
    """When each token came; every one once and in order, or the run has failed."""
    shown: list[float] = []
    seen = 0
    while True:
        events = await client.until(seen + 1, timeout_s=WAIT_S)
        now, new, seen = time.monotonic(), events[seen:], len(events)
        for event in new:
            said = event.data["text"].split() if event.target == "agentMessage" else []
            if said != [f"{number:05d}" for number in range(len(shown), len(shown) + len(said))]:
                raise RuntimeError(f"lost, doubled or out of order after {len(shown)}: {said[:3]}")
            shown += [now] * len(said)
        if any(event.target == "agentDone" for event in new):
            if len(shown) != tokens:
                raise RuntimeError(f"{len(shown)} tokens of {tokens} came")
            return shown


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.signalr", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often")
    parser.add_argument("--tokens", type=int, default=1_000, help="of a run")
    parser.add_argument("--delay-ms", type=float, default=60, help="of each REST call, at the service")
    parser.add_argument("--thinks-ms", type=float, default=300, help="of the model, before its first token")
    parser.add_argument("--way", choices=WAYS, action="append", help="only these")
    arguments = parser.parse_args()
    holds = True
    print(HEAD, flush=True)
    for per_s in RATES:
        model = Model(arguments.tokens, per_s, arguments.thinks_ms / 1000)
        for name in arguments.way or WAYS:
            found = [
                asyncio.run(measure(WAYS[name], model, arguments.delay_ms / 1000)) for _ in range(arguments.rounds)
            ]
            print(_row(per_s, name, found), flush=True)
            if (per_s, name) == (GOAL_RATE, "ours"):
                holds = max(figures.requests for figures in found) <= GOAL_REQUESTS
    print(f"\nat most {GOAL_REQUESTS} requests at {GOAL_RATE} tokens/s: {'holds' if holds else 'DOES NOT HOLD'}")
    return 0 if holds else 1


def _row(per_s: int, name: str, found: list[Figures]) -> str:
    requests = sorted({round(figures.requests) for figures in found})
    times = (_ms([getattr(figures, field) for figures in found]) for field in ("first", "p50", "p99", "last"))
    return f"| {per_s} | {name} | {' to '.join(map(str, requests[:1] + requests[1:][-1:]))} | {' | '.join(times)} |"


def _ms(seconds: list[float]) -> str:
    low, middle, high = (round(1000 * each(seconds)) for each in (min, median, max))
    return f"{middle:,}" if low == high else f"{middle:,} ({low:,} to {high:,})"


if __name__ == "__main__":
    sys.exit(main())
