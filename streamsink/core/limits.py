"""How often somebody may call."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING

from streamsink.core.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RateLimiter"]


class RateLimiter:
    """A token bucket per user: full at first, a minute's worth in size, refilled evenly.

    A bucket is kept as the moment at which it will be full again, so that a full one needs no memory. Only
    the ``max_users`` that called last are remembered: a flood of names costs no more than that, and whoever
    is forgotten has a full bucket.

    Args:
        requests_per_minute: what each user may do, at least 1.
        clock: rising seconds (monotonic).
        max_users: at least 1.
    """

    __slots__ = ("_clock", "_full_at", "_interval_s", "_max_users")

    def __init__(self, requests_per_minute: int, clock: Callable[[], float], *, max_users: int = 10_000) -> None:
        self._interval_s = 60 / requests_per_minute
        self._clock = clock
        self._max_users = max_users
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def spend(self, user_id: str) -> None:
        """Take one token.

        Raises:
            BusyError: the bucket is empty; nothing was taken. ``retry_after_s`` is when there is one again.
        """
        now = self._clock()
        full_at = max(self._full_at.get(user_id, now), now) + self._interval_s
        wait_s = full_at - now - 60
        # Less than a rounding error is not a wait.
        if wait_s > 1e-6:
            raise BusyError(f"too many requests; try again in {math.ceil(wait_s)} s", retry_after_s=wait_s)
        self._full_at[user_id] = full_at
        self._full_at.move_to_end(user_id)
        self._forget(now)

    @property
    def remembered(self) -> int:
        """How many users are remembered."""
        return len(self._full_at)

    def _forget(self, now: float) -> None:
        oldest = next(iter(self._full_at))
        if len(self._full_at) > self._max_users or self._full_at[oldest] <= now:
            del self._full_at[oldest]
