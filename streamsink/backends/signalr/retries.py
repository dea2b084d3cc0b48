"""When a request is made again, and whether the service is well. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamsink.backends.signalr.replies import Operation, ServiceError

__all__ = ["Health", "RetryPolicy"]

_FRESH_S: Final = 60.0
_THROTTLED_S: Final = 1.0
_LONGEST_HOLD_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long, and how often.

    Args:
        timeout_s: of one request.
        retries: after the first.
        first_wait_s: before the first retry; doubled each time.
        longest_wait_s: between two.
        patience_s: of a whole call: no retry begins later, and nothing is waited for beyond it.
    """

    timeout_s: float = 5.0
    retries: int = 2
    first_wait_s: float = 0.2
    longest_wait_s: float = 2.0
    patience_s: float = 10.0

    def wait_s(self, tried: int, error: ServiceError, jittered: Callable[[float], float]) -> float | None:
        """How long to wait before a request is made again; None: it is not.

        Every timeout and 5xx may be followed by another try, whatever became of the request: events have their place
        before they are sent, and everything else is the same when it is done twice.

        Args:
            tried: how often it was made, from 1.
        """
        if not error.is_passing or tried > self.retries:
            return None
        wait_s = jittered(min(self.first_wait_s * 2 ** (tried - 1), self.longest_wait_s))
        return wait_s + (error.retry_after_s or 0.0)  # not all at the moment when they may


class Health:
    """What the last calls say about the service.

    Args:
        clock: rising seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held_until = 0.0
        self._failures: dict[str, tuple[float, str]] = {}
        self.is_proven: bool = False

    def succeeded(self, operation: Operation[Any]) -> None:
        """A request was answered as it should be."""
        self.is_proven = self.is_proven or operation.needs_token
        self._failures.pop(operation.name, None)

    def failed(self, operation: Operation[Any], error: ServiceError) -> None:
        """A call was not; unless that is its own fault, it counts until one of its kind succeeds."""
        if error.fault != "request":
            self._failures[operation.name] = (self._clock(), str(error))

    def throttled(self, error: ServiceError) -> None:
        """The service wants to be left alone, by every call: for as long as it says, within reason."""
        wait_s = _THROTTLED_S if error.retry_after_s is None else min(error.retry_after_s, _LONGEST_HOLD_S)
        self._held_until = max(self._held_until, self._clock() + wait_s)

    @property
    def held_s(self) -> float:
        """For how long nothing should be asked."""
        return max(0.0, self._held_until - self._clock())

    @property
    def trouble(self) -> str:
        """Why a delivery would probably fail; empty: it would not.

        A failure counts for a minute while nothing else is tried: who is not ready is sent no work, and would never
        find out that all is well again.
        """
        if not self._failures:
            return ""
        failed_at, failure = max(self._failures.values())
        age_s = self._clock() - failed_at
        return f"{failure}; {age_s:.0f} s ago" if age_s <= _FRESH_S else ""
