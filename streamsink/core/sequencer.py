"""Between the wire and the fold: events leave in order, each once (docs/protocol.md, "Ordering").

``streamsink/static/client/sequencer.js`` is its twin; both pass the vectors under ``tests/vectors``.
Times are milliseconds of any one clock that does not go backwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Answer", "Invocation", "Sequencer"]

# 2^16 times the first delay is past every bound; larger powers need not be formed.
_DOUBLINGS = 16


class Invocation(NamedTuple):
    """An event as it reaches a client."""

    target: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a join brings: forget the conversation (``reset``), load ``snapshot``, fold ``events``.

    Args:
        reset: begin with an empty conversation.
        snapshot: one part of a snapshot, to be loaded, or None.
        events: to be folded afterwards, in order.
        more: the next join should be made at once; ``due`` says so too.
    """

    reset: bool
    snapshot: Mapping[str, Any] | None
    events: tuple[Invocation, ...]
    more: bool


class Sequencer:
    """Puts the events of one thread in order and says when to join again. A new one wants to join at once.

    Args:
        max_buffered: how many events may wait; past that all are dropped and the thread is joined again.
        hole_ms: how long a hole may be open.
        silence_ms: how long an open run may be silent; also the longest delay between two tries.
    """

    def __init__(self, *, max_buffered: int = 10_000, hole_ms: float = 250, silence_ms: float = 20_000) -> None:
        self._max_buffered = max_buffered
        self._hole_ms = hole_ms
        self._silence_ms = silence_ms
        # The last seq passed on, by epoch: one epoch with history, any number without.
        self._heads: dict[str, int] = {}
        # (epoch, seq) → (arrival, event), in order of arrival.
        self._waiting: dict[tuple[str, int], tuple[float, Invocation]] = {}
        self._history = True
        self._synced = False
        self._pending = False
        self._page: str | None = None
        # A join that is due whatever waits, and that puts off every other.
        self._join_at: float | None = -math.inf
        self._heard_at = -math.inf
        self._answered_at = -math.inf
        self._failures = 0
        self._fruitless = 0

    @property
    def cursor(self) -> str:
        """What to join with as ``after``."""
        if self._page is not None:
            return self._page
        if not self._history:
            return ""
        return "".join(f"{epoch}:{seq}" for epoch, seq in self._heads.items())

    def receive(self, event: Invocation, now_ms: float) -> list[Invocation]:
        """Take an event off the wire; returns the events that are now to be folded."""
        self._heard_at = now_ms
        epoch, seq = _place(event)
        if self._is_behind(epoch, seq):
            return []
        self._waiting.setdefault((epoch, seq), (now_ms, event))
        if len(self._waiting) > self._max_buffered:
            self._waiting.clear()
            self._join_at = now_ms
        if self._holds_back():
            return []
        self._adopt()
        if self._join_at is None and not self._fruitless and self._is_foreign(epoch):
            self._join_at = now_ms
        return self._ready([epoch], now_ms)

    def due(self, now_ms: float, *, run_open: bool) -> float | None:
        """When to join: never before ``now_ms``, which means at once; None: nothing calls for it.

        Args:
            run_open: a run of the conversation has no terminal yet.
        """
        if self._pending:
            return None
        times = [self._join_at] if self._join_at is not None else self._reasons(run_open)
        return max(now_ms, min(times)) if times else None

    def join_pending(self, now_ms: float) -> None:
        """A join with ``after`` = ``cursor`` has been sent; ``answer`` or ``join_failed`` follows.

        When it was sent again, on a new connection for example, answers to the earlier one are to be ignored.
        """
        self._heard_at = now_ms
        self._pending = True
        self._join_at = None

    def join_failed(self, now_ms: float) -> None:
        """The join failed and is due again later; what arrived meanwhile leaves with the next event."""
        self._pending = False
        self._join_at = now_ms + self._delay(self._failures)
        self._failures += 1

    def answer(self, replay: Mapping[str, Any] | None, now_ms: float) -> Answer:
        """Merge the join's answer with what arrived meanwhile.

        Args:
            replay: docs/protocol.md, "Replay"; None: this deployment keeps no history.
        """
        self._pending = False
        self._failures = 0
        self._heard_at = self._answered_at = now_ms
        if replay is None:
            self._history, self._synced, self._page = False, True, None
            return Answer(False, None, tuple(self._release(now_ms)), False)
        events = self._replay(replay)
        if replay["more"]:
            self._join_at = now_ms
        else:
            events += self._release(now_ms)
            self._fruitless = self._fruitless + 1 if self._waiting else 0
        return Answer(replay["reset"], replay["snapshot"], tuple(events), replay["more"])

    def _replay(self, replay: Mapping[str, Any]) -> list[Invocation]:
        if replay["reset"] or not self._history:
            self._heads = {}
        self._history, self._synced = True, not replay["more"]
        self._page = replay["cursor"] if replay["more"] else None
        events = [Invocation(event["target"], event["data"]) for event in replay["events"]]
        fresh = [event for event in events if not self._is_behind(*_place(event))]
        epoch, _, seq = replay["cursor"].partition("~")[0].rpartition(":")
        if epoch and not self._is_behind(epoch, int(seq)):
            self._heads = {epoch: int(seq)}
        return fresh

    def _release(self, now_ms: float) -> list[Invocation]:
        """Everything that waits and is ready."""
        self._waiting = {key: value for key, value in self._waiting.items() if not self._is_behind(*key)}
        self._adopt()
        return self._ready(list(dict.fromkeys(epoch for epoch, _ in self._waiting)), now_ms)

    def _ready(self, epochs: Iterable[str], now_ms: float) -> list[Invocation]:
        ready: list[Invocation] = []
        for epoch in epochs:
            ready += self._drain(epoch)
            while self._gives_up_hole(epoch, now_ms):
                ready += self._drain(epoch)
        if not self._waiting:
            self._fruitless = 0
        return ready

    def _drain(self, epoch: str) -> list[Invocation]:
        """What waits without a hole before it."""
        ready: list[Invocation] = []
        while epoch in self._heads and (epoch, self._heads[epoch] + 1) in self._waiting:
            self._heads[epoch] += 1
            ready.append(self._waiting.pop((epoch, self._heads[epoch]))[1])
        return ready

    def _adopt(self) -> None:
        """A thread that was empty takes the epoch of its first event, the oldest if there are several."""
        if self._history and not self._heads:
            firsts = [epoch for epoch, seq in self._waiting if seq == 1 and epoch.isdecimal()]
            self._heads = dict.fromkeys(sorted(firsts, key=_rank)[:1], 0)

    def _gives_up_hole(self, epoch: str, now_ms: float) -> bool:
        """Without history an epoch begins at the first event seen; a hole open too long is left behind."""
        if self._history:
            return False
        waiting = {seq: arrival for (of, seq), (arrival, _) in self._waiting.items() if of == epoch}
        over = waiting and now_ms - min(waiting.values()) >= self._hole_ms
        if over or (waiting and epoch not in self._heads):
            self._heads[epoch] = min(waiting) - 1
            return True
        return False

    def _reasons(self, run_open: bool) -> list[float]:
        """When a hole or silence calls for a join."""
        reasons = [self._heard_at + self._silence_ms] if run_open else []
        if self._waiting:
            opened_at = max(next(iter(self._waiting.values()))[0], self._answered_at)
            reasons.append(opened_at + self._delay(self._fruitless))
        return reasons

    def _holds_back(self) -> bool:
        return not self._synced or (self._pending and self._history)

    def _is_foreign(self, epoch: str) -> bool:
        return self._history and bool(self._heads) and epoch not in self._heads

    def _is_behind(self, epoch: str, seq: int) -> bool:
        if self._is_foreign(epoch):
            return _rank(epoch) < _rank(next(iter(self._heads)))
        return seq <= self._heads.get(epoch, 0)

    def _delay(self, tries: int) -> float:
        """How long to wait after so many tries in vain."""
        return min(math.ldexp(self._hole_ms, min(tries, _DOUBLINGS)), self._silence_ms)


def _place(event: Invocation) -> tuple[str, int]:
    return event.data["epoch"], event.data["seq"]


def _rank(epoch: str) -> float:
    # An epoch that is no number comes from a deployment without history; the next answer tells.
    return float(epoch) if epoch.isdecimal() else math.inf
