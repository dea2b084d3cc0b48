from __future__ import annotations

import json
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.sequencer import Invocation, Sequencer

from .thread_model import Client, Server, fold, make_log, place
from .vectors import cases, event, run_steps

_AGREE = Path(__file__).parents[1] / "js" / "agree.mjs"


@pytest.mark.parametrize("case", cases("sequence"), ids=lambda case: case["name"])
def test_sequencing_vectors(case: dict[str, Any]) -> None:
    for step, seen in zip(case["steps"], run_steps(case), strict=True):
        assert {**seen, **step} == {**step, **seen}, step


def simulate(random: Random) -> tuple[Client, list[Invocation]]:
    """Append, deliver, repeat, lose, reorder, join and fail at random; in the end join anew."""
    log = make_log(random)
    breaks = random.choices(range(1, len(log) + 1), k=random.choice([0, 0, 1, 2]))
    events = place(log, breaks)
    server = Server(events, page=random.choice([1, 3, 100]))
    # Who joined an empty thread takes the first epoch seen for the first there is: the docs' one exception.
    server.head = 1 if breaks else 0
    client = Client(max_buffered=random.choice([2, 100]))
    wire: list[Invocation] = []
    while server.head < len(events):
        if random.random() < 0.5:
            wire.append(events[server.head])
            server.head += 1
        if random.random() < 0.05:
            server.take_snapshot(random.choice([1, 400, 5_000]))
        carry(random, wire, client)
        if client.due() or random.random() < 0.02:
            join(random, wire, client, server)
    rejoin(client, server)
    return client, events


def carry(random: Random, wire: list[Invocation], client: Client) -> None:
    client.now_ms += random.choice([0, 1, 100])
    while wire and random.random() < 0.6:
        at = 0 if random.random() < 0.7 else random.randrange(len(wire))
        if random.random() < 0.9:
            client.receive(wire[at])
        if random.random() < 0.9:
            del wire[at]


def join(random: Random, wire: list[Invocation], client: Client, server: Server) -> None:
    after = client.ask()
    carry(random, wire, client)
    replay = server.replay(after)
    carry(random, wire, client)
    if random.random() < 0.2:
        client.fail()
    else:
        client.hear(replay)


def rejoin(client: Client, server: Server) -> None:
    while client.hear(server.replay(client.ask())):
        pass


@given(st.randoms(use_true_random=True))
def test_any_order_repetition_and_loss_gives_the_conversation_in_order(random: Random) -> None:
    client, events = simulate(random)

    assert client.conversation.state == fold(events).state


@given(st.permutations(range(1, 9)), st.lists(st.integers(1, 8)))
def test_without_loss_no_join_is_needed(order: list[int], repeats: list[int]) -> None:
    sequencer = Sequencer()
    sequencer.join_pending(0)
    sequencer.answer({"cursor": "", "reset": True, "snapshot": None, "events": [], "more": False}, 0)

    ready = [ready for seq in [*order, *repeats] for ready in sequencer.receive(event(f"7:{seq}"), 1)]

    assert [ready.data["seq"] for ready in ready] == list(range(1, 9))
    assert sequencer.due(1, run_open=False) is None


@given(st.permutations(range(1, 9)), st.permutations(range(1, 9)))
def test_without_history_each_epoch_keeps_its_order(one: list[int], other: list[int]) -> None:
    sequencer = Sequencer()
    sequencer.join_pending(0)
    places = [place for pair in zip(one, other, strict=True) for place in zip(("c1.1", "c2.1"), pair, strict=True)]
    for epoch, seq in places:
        sequencer.receive(event(f"{epoch}:{seq}"), 1)

    ready = sequencer.answer(None, 2).events

    for epoch in ("c1.1", "c2.1"):
        assert [event.data["seq"] for event in ready if event.data["epoch"] == epoch] == list(range(1, 9))


@pytest.mark.service
def test_python_and_javascript_take_the_same_steps() -> None:
    sequences = [simulate(Random(seed))[0].case for seed in range(200)]

    answer = subprocess.run(
        ["node", str(_AGREE)],
        input=json.dumps({"sequences": sequences}),
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )

    for case, seen in zip(sequences, json.loads(answer.stdout)["steps"], strict=True):
        for step, others in zip(case["steps"], seen, strict=True):
            assert {**others, **step} == {**step, **others}
