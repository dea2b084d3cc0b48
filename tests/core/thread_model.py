"""A small model of a thread: runs that produce events, a server that answers joins, a client that folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from streamsink.core import utf16
from streamsink.core.conversation import Conversation
from streamsink.core.sequencer import Invocation, Sequencer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

__all__ = ["Client", "Server", "fold", "make_log", "place"]

JSON = dict[str, Any]
Event = tuple[str, JSON]

_LETTERS = ["a", "Bc", "é", "😀", "👩‍🚀", "\n", "\u2028", '"\\', "漢字"]
_STATUSES = ["completed", "failed", "cancelled"]


class _Texts:
    """The texts of one attempt, in pieces with right offsets."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._units: dict[tuple[str, str], int] = {}

    def piece(self, kind: str, key: str) -> JSON:
        text = "".join(self._random.choices(_LETTERS, k=self._random.randrange(4)))
        is_replace = self._random.random() < 0.15
        offset = 0 if is_replace else self._units.get((kind, key), 0)
        self._units[kind, key] = offset + utf16.length(text)
        return {"text": text, "mode": "replace" if is_replace else "append", "offset": offset}


def make_log(random: Random, *, clean: bool = False) -> list[Event]:
    """The events of a few runs, interleaved, without their places.

    Args:
        clean: what a well-behaved producer of texts sends, and no final text.
    """
    runs = [list(_run(random, f"c{i}", clean=clean)) for i in range(random.randint(1, 4))]
    log = []
    while runs := [run for run in runs if run]:
        log.append(random.choice(runs).pop(0))
    return log


def _run(random: Random, run_id: str, *, clean: bool) -> Iterator[Event]:
    def event(target: str, attempt: int, **fields: Any) -> Event:
        shared = {"conversationId": "t", "correlationId": run_id, "agentName": f"agent {run_id}"}
        return target, {**shared, "attempt": attempt, "at": random.randrange(10**12), **fields}

    attempt = 0
    yield event("userMessage", 0, messageId="u", text=random.choice(_LETTERS), **_approval_answer(random))
    for attempt in range(1, random.randint(1, 3) + 1):
        if random.random() < 0.9:
            yield event("agentStarted", attempt)
        texts = _Texts(random)
        for _ in range(random.randrange(12)):
            target, fields = _step(random, texts, clean=clean)
            stale = not clean and random.random() < 0.05
            yield event(target, attempt - stale, **fields)
        if random.random() < 0.3:
            yield event("agentInterrupted", attempt)
    if random.random() < 0.8:
        yield event("agentDone", attempt, status=random.choice(_STATUSES), **_ending(random, clean=clean))
        if not clean and random.random() < 0.3:
            yield event("agentMessage", attempt, messageId="m0", text="after the end", offset=0)


def _approval_answer(random: Random) -> JSON:
    if random.random() < 0.6:
        return {}
    return {"approval": {"approvalId": random.choice("ab"), "approved": random.choice([True, False])}}


def _ending(random: Random, *, clean: bool) -> JSON:
    ending: JSON = {
        "usage": {"inputTokens": 3},
        "error": {"code": "agent_error", "message": "m"},
        "text": "all 😀",
    }
    return {name: value for name, value in ending.items() if random.random() < 0.3 and not (clean and name == "text")}


def _step(random: Random, texts: _Texts, *, clean: bool) -> Event:
    number = random.randrange(2)
    match random.choice("mmmmmmrtttopcxf"):
        case "m":
            return "agentMessage", {
                "messageId": f"m{number}",
                **_piece(random, texts, f"m{number}", clean=clean),
            }
        case "r":
            return "agentReasoning", {"messageId": f"m{number}", **texts.piece("reasoning", f"m{number}")}
        case "t":
            piece = texts.piece("tool", f"k{number}")
            piece["arguments"] = piece.pop("text")
            return "agentToolCall", {"callId": f"k{number}", "name": random.choice(["", "f"]), **piece}
        case "o":
            return "agentToolResult", {
                "callId": f"k{number}",
                "status": "completed",
                "result": random.choice(_LETTERS),
            }
        case "p":
            names = {"approvalId": random.choice("ab"), "callId": "k0", "name": "book"}
            return "agentApproval", {**names, "arguments": "{}"}
        case "c":
            return "agentContent", {"contentType": "data", "content": {"n": number}}
        case "x":
            return "agentCustom", {"name": "progress", "data": [number]}
    return "agentFuture", {"mode": "append", "n": number}


def _piece(random: Random, texts: _Texts, key: str, *, clean: bool) -> JSON:
    piece = texts.piece("message", key)
    if not clean and random.random() < 0.1:
        piece["offset"] += random.randint(-3, 3)
    return piece


def place(log: list[Event], breaks: list[int]) -> list[Invocation]:
    """The events at their places; a new epoch begins at each index in ``breaks``."""
    epoch, seq, placed = 997, 0, []
    for i, (target, data) in enumerate(log):
        epoch, seq = (epoch + 2, 1) if i in breaks else (epoch, seq + 1)
        placed.append(Invocation(target, {**data, "seq": seq, "epoch": str(epoch)}))
    return placed


def fold(events: list[Invocation]) -> Conversation:
    conversation = Conversation()
    for target, data in events:
        conversation.apply(target, data)
    return conversation


class Server:
    """Answers joins from the first ``head`` events of a log, with pages and with snapshots in parts.

    Args:
        log: all that will ever be appended.
        page: how many events an answer holds.
    """

    def __init__(self, log: list[Invocation], *, page: int) -> None:
        self._log = log
        self._page = page
        self._indices = {_cursor(event): i + 1 for i, event in enumerate(log)}
        self._parts: tuple[bytes, ...] = ()
        self._snapshot_at = 0
        self.head = 0

    def take_snapshot(self, max_bytes: int) -> None:
        """Take a snapshot and trim what it covers."""
        self._parts = fold(self._log[: self.head]).to_parts(max_bytes)
        self._snapshot_at = self.head

    def replay(self, after: str) -> JSON:
        place, _, part = after.partition("~")
        index = self._indices.get(place, -1)
        if part:
            is_current = index == self._snapshot_at and int(part) < len(self._parts)
            return self._part(int(part)) if is_current else self._from_start()
        if index < self._snapshot_at or index > self.head:
            return self._from_start()
        return self._events(index, reset=False, snapshot=None)

    def _from_start(self) -> JSON:
        return self._part(0) if self._snapshot_at else self._events(0, reset=True, snapshot=None)

    def _part(self, part: int) -> JSON:
        snapshot, reset = msgspec.json.decode(self._parts[part]), part == 0
        if part + 1 == len(self._parts):
            return self._events(self._snapshot_at, reset=reset, snapshot=snapshot)
        cursor = f"{snapshot['cursor']}~{part + 1}"
        return {"cursor": cursor, "reset": reset, "snapshot": snapshot, "events": [], "more": True}

    def _events(self, start: int, *, reset: bool, snapshot: JSON | None) -> JSON:
        end = min(start + self._page, self.head)
        events = [event._asdict() for event in self._log[start:end]]
        cursor = _cursor(self._log[end - 1]) if end else ""
        more = end < self.head
        return {"cursor": cursor, "reset": reset, "snapshot": snapshot, "events": events, "more": more}


class Client:
    """Sequencer and conversation as a page joins them, and the steps it took, as a sequencing vector."""

    def __init__(self, **options: Any) -> None:
        self._sequencer = Sequencer(**options)
        self.conversation = Conversation()
        self.case: JSON = {"options": options, "steps": []}
        self.now_ms = 0

    def receive(self, event: Invocation) -> None:
        ready = self._sequencer.receive(event, self.now_ms)
        self._fold(ready)
        self._note({"do": "receive", "event": _cursor(event), "gives": [_cursor(event) for event in ready]})

    def due(self) -> bool:
        due = self._sequencer.due(self.now_ms, run_open=False)
        return due is not None and due <= self.now_ms

    def ask(self) -> str:
        cursor = self._sequencer.cursor
        self._sequencer.join_pending(self.now_ms)
        self._note({"do": "join_pending"})
        return cursor

    def fail(self) -> None:
        self._sequencer.join_failed(self.now_ms)
        self._note({"do": "join_failed"})

    def hear(self, replay: JSON) -> bool:
        """Take an answer; True when another join follows at once."""
        answer = self._sequencer.answer(replay, self.now_ms)
        if answer.reset:
            self.conversation = Conversation()
        if answer.snapshot is not None:
            self.conversation.load(answer.snapshot)
        self._fold(list(answer.events))
        written = {**replay, "events": [_cursor(Invocation(**event)) for event in replay["events"]]}
        gives = [_cursor(event) for event in answer.events]
        self._note({"do": "answer", "replay": written, "gives": gives, "more": answer.more})
        return answer.more

    def _fold(self, events: list[Invocation]) -> None:
        for target, data in events:
            epoch, _, seq = self.conversation.cursor.rpartition(":")
            last = int(seq) if data["epoch"] == epoch else 0
            assert data["seq"] == last + 1, "folded in order, each once"
            self.conversation.apply(target, data)

    def _note(self, step: JSON) -> None:
        due = self._sequencer.due(self.now_ms, run_open=False)
        self.case["steps"].append({**step, "at": self.now_ms, "cursor": self._sequencer.cursor, "due": due})


def _cursor(event: Invocation) -> str:
    return f"{event.data['epoch']}:{event.data['seq']}"
