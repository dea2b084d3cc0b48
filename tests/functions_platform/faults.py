"""What goes wrong, or waits, because a test says so."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Faults", "SignalFault"]


@dataclass
class SignalFault:
    """The next `times` signals are answered with `status`; `executed` ones are queued nevertheless."""

    times: int
    status: int
    executed: bool


class Faults:
    """Called on the test's thread by the test, and on the host's by the host."""

    def __init__(self) -> None:
        self._lost_results = 0
        self._signal_fault: SignalFault | None = None
        self._holds: list[tuple[str, ...]] = []
        self.holding_outcomes = False
        #: The host looks again; it sets this.
        self.notify: Callable[[], None] = lambda: None
        self._to_reorder = 0
        self._reordered: list[Callable[[], None]] = []

    def redeliver_next(self, times: int = 1) -> None:
        """Lose the results of the next `times` batches: executed, not saved, and executed again."""
        self._lost_results += times

    def refuse_signals(self, times: int = 1, *, status: int = 500, executed: bool = False) -> None:
        """Answer the next `times` signals with `status`."""
        self._signal_fault = SignalFault(times, status, executed)

    def reorder_next_signals(self, count: int = 2) -> None:
        """Deliver the next `count` signals in the reverse order, when the last of them has come."""
        self._to_reorder = count

    @contextmanager
    def held_batches(self, *keys: str) -> Iterator[None]:
        """Start no batch while this is open, or none of the entities with these keys."""
        self._holds.append(keys)
        try:
            yield
        finally:
            self._holds.remove(keys)
            self.notify()

    @contextmanager
    def held_outcomes(self) -> Iterator[None]:
        """Keep nothing of what batches have done while this is open."""
        self.holding_outcomes = True
        try:
            yield
        finally:
            self.holding_outcomes = False
            self.notify()

    def holding(self, key: str) -> bool:
        return any(not keys or key in keys for keys in self._holds)

    def loses_result(self) -> bool:
        if not self._lost_results:
            return False
        self._lost_results -= 1
        return True

    def of_signal(self) -> SignalFault | None:
        """Take what the next signal suffers."""
        fault = self._signal_fault
        if fault is None or not fault.times:
            return None
        fault.times -= 1
        return fault

    def deliver(self, signal: Callable[[], None]) -> None:
        """Deliver a signal in its turn."""
        if not self._to_reorder:
            signal()
            return
        self._to_reorder -= 1
        self._reordered.append(signal)
        while not self._to_reorder and self._reordered:
            self._reordered.pop()()
