from __future__ import annotations

import json
import subprocess
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core import utf16
from streamsink.core.conversation import Conversation, SnapshotError

from .thread_model import fold, make_log, place
from .vectors import cases, expected_state, fold_events

if TYPE_CHECKING:
    from streamsink.core.sequencer import Invocation

randoms = st.randoms(use_true_random=True)
_AGREE = Path(__file__).parents[1] / "js" / "agree.mjs"


@pytest.mark.parametrize("case", cases("fold"), ids=lambda case: case["name"])
def test_folding_vectors(case: dict[str, Any]) -> None:
    conversation = fold(fold_events(case))

    assert conversation.state == expected_state(case)
    assert conversation.cursor == case["cursor"]


@pytest.mark.parametrize("case", cases("fold"), ids=lambda case: case["name"])
def test_snapshots_of_the_folding_vectors_can_be_cut_anywhere(case: dict[str, Any]) -> None:
    events = fold_events(case)

    for k in range(len(events) + 1):
        assert resumed(events, k, max_bytes=1).state == expected_state(case)


def test_state_is_the_callers_own() -> None:
    conversation = fold(fold_events(cases("fold")[4]))

    conversation.state["runs"][0]["items"].clear()

    assert len(conversation.state["runs"][0]["items"]) == 2


def resumed(events: list[Invocation], k: int, *, max_bytes: int) -> Conversation:
    """The conversation of a snapshot after ``k`` events and of the tail."""
    conversation = Conversation.from_parts(fold(events[:k]).to_parts(max_bytes))
    for target, data in events[k:]:
        conversation.apply(target, data)
    return conversation


@given(randoms, st.data())
def test_snapshot_and_tail_give_what_everything_gives(random: Random, data: st.DataObject) -> None:
    log = make_log(random)
    events = place(log, data.draw(st.lists(st.integers(1, len(log)), max_size=2)))
    max_bytes = data.draw(st.integers(1, 5_000))
    whole = fold(events).state

    for k in range(len(events) + 1):
        assert resumed(events, k, max_bytes=max_bytes).state == whole


@given(randoms, st.integers(0, 3_000))
def test_parts_are_divided_between_runs_and_within_their_bound(random: Random, max_bytes: int) -> None:
    conversation = fold(place(make_log(random), []))

    parts = conversation.to_parts(max_bytes)

    states = [json.loads(part) for part in parts]
    assert [run for state in states for run in state["runs"]] == conversation.state["runs"]
    assert all((state["version"], state["cursor"]) == (1, conversation.cursor) for state in states)
    assert all(len(part) <= max_bytes or len(state["runs"]) == 1 for part, state in zip(parts, states, strict=True))
    for (part, state), (_, following) in pairwise(zip(parts, states, strict=True)):
        moved = json.dumps(following["runs"][0], ensure_ascii=False, separators=(",", ":")).encode()
        assert state["runs"], "no part is empty"
        assert len(part) + 1 + len(moved) > max_bytes, "no part could have held another run"


def test_an_empty_conversation_is_one_part() -> None:
    assert Conversation().to_parts(1) == (b'{"version":1,"cursor":"","runs":[]}',)
    assert Conversation.from_parts(Conversation().to_parts(1)).state == Conversation().state


@pytest.mark.parametrize("document", ['{"version":2,"cursor":"1:1","runs":[]}', '{"cursor":"1:1","runs":[]}'])
def test_another_version_is_refused(document: str) -> None:
    with pytest.raises(SnapshotError, match="version should be 1"):
        Conversation.from_parts([document.encode()])


def test_parts_of_different_snapshots_are_refused_and_change_nothing() -> None:
    conversation = Conversation()
    conversation.load({"version": 1, "cursor": "1:1", "runs": []})

    with pytest.raises(SnapshotError, match="one snapshot"):
        conversation.load({"version": 1, "cursor": "1:2", "runs": []})

    assert conversation.cursor == "1:1"


@given(randoms)
def test_a_part_given_twice_counts_once(random: Random) -> None:
    whole = fold(place(make_log(random), []))
    parts = whole.to_parts(1)

    assert Conversation.from_parts([*parts, parts[0]]).state == whole.state


@given(randoms, st.data())
def test_the_ten_lines_of_the_docs_show_the_same_messages(random: Random, data: st.DataObject) -> None:
    events = place(make_log(random, clean=True), [])
    whole = fold(events).state
    sent = with_repeats(events, data)

    texts = ten_lines(sent)

    for run in whole["runs"]:
        for item in run["items"]:
            if item["kind"] == "text":
                assert texts[run["correlationId"], run["attempt"], item["messageId"]] == item["text"]


def with_repeats(events: list[Invocation], data: st.DataObject) -> list[Invocation]:
    """A producer that repeats its last few events now and then, in order, as a lost reply makes it."""
    sent: list[Invocation] = []
    for i in range(1, len(events) + 1):
        repeat = data.draw(st.sampled_from([0, 0, 0, 1, 3]))
        recent = events[max(i - 1 - repeat, 0) : i]
        begins_at_replacement = [e.data.get("mode") == "replace" for e in recent[:-1]]
        # A lost reply repeats one batch; a replacement always begins a batch of its own.
        sent += recent[-1:] if any(begins_at_replacement) else recent
    return sent


def ten_lines(events: list[Invocation]) -> dict[tuple[str, int, str], str]:
    texts: dict[tuple[str, int, str], str] = {}
    for target, event in events:
        if target == "agentMessage":
            key = (event["correlationId"], event["attempt"], event["messageId"])
            text = texts.get(key, "")
            if event["offset"] <= utf16.length(text):
                texts[key] = utf16.split_at(text, event["offset"])[0] + event["text"]
    return texts


@pytest.mark.service
def test_python_and_javascript_fold_alike() -> None:
    logs = [place(make_log(Random(seed)), [seed % 23]) for seed in range(300)]
    batch = {"logs": [[event._asdict() for event in log] for log in logs]}

    answer = subprocess.run(
        ["node", str(_AGREE)], input=json.dumps(batch), capture_output=True, text=True, check=True, timeout=50
    )

    assert json.loads(answer.stdout)["states"] == [fold(log).state for log in logs]
