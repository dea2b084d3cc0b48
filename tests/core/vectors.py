"""Runs the golden vectors of ``tests/vectors``; ``tests/js/vector-runner.mjs`` runs the same ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamsink.core.sequencer import Answer, Invocation, Sequencer

__all__ = ["cases", "event", "expected_state", "fold_events", "run_steps"]

JSON = dict[str, Any]
_VECTORS = Path(__file__).parents[1] / "vectors"


def cases(name: str) -> list[JSON]:
    """The cases of one file, with its defaults merged in."""
    document = json.loads((_VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return [{"envelope": document.get("envelope"), "run": document.get("run"), **case} for case in document["cases"]]


def fold_events(case: JSON) -> list[Invocation]:
    """The events of a folding case."""
    numbered = enumerate(case["events"], 1)
    return [
        Invocation(given["target"], {**case["envelope"], "seq": i, "at": i, **given["data"]}) for i, given in numbered
    ]


def expected_state(case: JSON) -> JSON:
    """The state that a folding case ends in."""
    return {"version": 1, "cursor": case["cursor"], "runs": [{**case["run"], **run} for run in case["runs"]]}


def event(cursor: str) -> Invocation:
    """An event of which only the place matters."""
    epoch, _, seq = cursor.rpartition(":")
    return Invocation("agentMessage", {"epoch": epoch, "seq": int(seq)})


def run_steps(case: JSON) -> list[JSON]:
    """What is seen after each step of a sequencing case."""
    sequencer = Sequencer(**case.get("options", {}))
    if "joined" in case:
        sequencer.join_pending(0)
        start = {"cursor": case["joined"], "reset": True, "snapshot": None, "events": [], "more": False}
        sequencer.answer(start if case["joined"] is not None else None, 0)
    return [_run_step(sequencer, step) for step in case["steps"]]


def _run_step(sequencer: Sequencer, step: JSON) -> JSON:
    seen = _call(sequencer, step)
    due = sequencer.due(step["at"], run_open=step.get("run_open", False))
    return {**seen, "cursor": sequencer.cursor, "due": due}


def _call(sequencer: Sequencer, step: JSON) -> JSON:
    match step["do"]:
        case "receive":
            return {"gives": _cursors(sequencer.receive(event(step["event"]), step["at"]))}
        case "answer":
            return _seen(sequencer.answer(_replay(step["replay"]), step["at"]))
        case "join_pending":
            sequencer.join_pending(step["at"])
        case "join_failed":
            sequencer.join_failed(step["at"])
        case unknown:
            raise AssertionError(unknown)
    return {}


def _replay(written: JSON | None) -> JSON | None:
    if written is None:
        return None
    events = [event(cursor)._asdict() for cursor in written["events"]]
    return {**written, "events": events}


def _seen(answer: Answer) -> JSON:
    gives = _cursors(list(answer.events))
    return {"gives": gives, "reset": answer.reset, "snapshot": answer.snapshot, "more": answer.more}


def _cursors(events: list[Invocation]) -> list[str]:
    return [f"{event.data['epoch']}:{event.data['seq']}" for event in events]
