"""When a run's drafts leave: the first at once, then no more often than anybody could see or the transport bears."""

from __future__ import annotations

from streamsink.core.drafts import Draft, Drafts, TextDraft
from streamsink.core.errors import StreamOverflowError

__all__ = ["Coalescer", "Pacer"]


class Pacer:
    """A budget of messages per second, shared by everything that sends. Sans-IO.

    Args:
        per_s: messages per second; None: no bound.

    Attributes:
        merged: how many pieces have left inside others so far: the messages that merging has saved.
    """

    def __init__(self, per_s: float | None = None) -> None:
        self.merged: int = 0
        self._interval_s = 0.0 if per_s is None else 1.0 / per_s
        self._free_at = 0.0

    def next_at(self) -> float:
        """When the next message may leave."""
        return self._free_at

    def spend(self, now: float, messages: int = 1) -> None:
        """So many messages leave now."""
        self._free_at = max(now, self._free_at) + self._interval_s * messages

    def saved(self, messages: int) -> None:
        """So many did not have to leave."""
        self.merged += messages


class Coalescer:
    """Holds a run's drafts until they should leave. Sans-IO: the caller owns the clock and the sending.

    The first text leaves at once, later text ``window_s`` after the previous send; anything else takes along what
    waits and leaves at once. Nothing leaves while a send is in flight.

    Args:
        window_s: seconds.
        max_bytes: bound on what waits.
        pacer: the budget.
    """

    def __init__(self, *, window_s: float, max_bytes: int, pacer: Pacer | None = None) -> None:
        self._window_s = window_s
        self._max_bytes = max_bytes
        self._pacer = pacer or Pacer()
        self._pending = Drafts()
        self._pieces = 0
        self._urgent = False
        self._spoken = False
        self._in_flight = False
        self._last_sent = 0.0

    def push(self, draft: Draft) -> None:
        """Hold one more.

        Raises:
            StreamOverflowError: the bound is reached; nothing was taken.
        """
        if self._pending.size + draft.size > self._max_bytes:
            raise StreamOverflowError(
                f"the run says more than can be sent: {self._max_bytes} bytes are waiting; "
                "raise STREAM_MAX_BUFFER_BYTES or produce more slowly"
            )
        self._pending.add(draft)
        self._pieces += 1
        is_text = isinstance(draft, TextDraft)
        self._urgent = self._urgent or not is_text or not self._spoken
        self._spoken = self._spoken or is_text

    def due(self) -> float | None:
        """When to ``take``, on the caller's clock; None: not before something changes."""
        if self._in_flight or not self._pending:
            return None
        ready = 0.0 if self._urgent else self._last_sent + self._window_s
        return max(ready, self._pacer.next_at())

    def take(self, now: float) -> list[Draft]:
        """What leaves now; ``sent`` must follow."""
        self._in_flight, self._urgent, self._last_sent = True, False, now
        self._pacer.spend(now, len(self._pending))
        return self._taken()

    def sent(self) -> None:
        """The send that was in flight has ended, well or badly."""
        self._in_flight = False

    def drain(self, now: float) -> list[Draft]:
        """Whatever is held, for the last batch of a run, which the budget does not hold up."""
        self._pacer.spend(now, len(self._pending) + 1)
        return self._taken()

    def _taken(self) -> list[Draft]:
        self._pacer.saved(self._pieces - len(self._pending))
        self._pieces = 0
        return self._pending.take()

    @property
    def size(self) -> int:
        """About the bytes of what waits."""
        return self._pending.size
