"""What deliveries cost, and what went wrong with them."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Count", "Meter", "billed_units"]

Count: TypeAlias = Literal["refused", "failed", "retried", "throttled"]

_BILLED_BYTES: Final = 2_048


def billed_units(size: int) -> int:
    """How many messages one message of so many bytes is on the bill: outbound, one per 2 KiB begun."""
    return max(1, -(-size // _BILLED_BYTES))


class Meter:
    """Counts, from any thread.

    The service bills what it sends to clients. How many there are is known of groups that this process has seen
    somebody join, leave or be listed in; others are counted as one client. Connections that ended, or joined through
    another process, are not seen: ``billed`` is an estimate, and the service's own metrics are the bill.

    Args:
        max_groups: whose connections are remembered; the group least recently used is forgotten first.
    """

    def __init__(self, *, max_groups: int = 10_000) -> None:
        self._max_groups = max_groups
        self._lock = threading.Lock()
        self._groups: OrderedDict[str, set[str]] = OrderedDict()
        self._counts: Counter[str] = Counter()

    def sent(self, group: str, size: int) -> None:
        """A message of so many bytes was accepted by the service."""
        with self._lock:
            members = self._groups.get(group)
            if members is not None:
                self._groups.move_to_end(group)
            self._counts["messages"] += 1
            self._counts["bytes"] += size
            self._counts["unknown_receivers"] += members is None
            self._counts["billed"] += billed_units(size) * (1 if members is None else len(members))

    def count(self, what: Count) -> None:
        """One more of these: a message ``refused`` for what it is, a call that ``failed``, a request that was
        ``retried`` or ``throttled``."""
        with self._lock:
            self._counts[what] += 1

    def joined(self, group: str, connection_id: str) -> None:
        """A connection was added."""
        with self._lock:
            self._members(group).add(connection_id)

    def left(self, group: str, connection_id: str) -> None:
        """A connection is not there, or no longer."""
        with self._lock:
            if group in self._groups:
                self._members(group).discard(connection_id)

    def listed(self, group: str, connection_ids: Iterable[str]) -> None:
        """These, and no others, are there."""
        with self._lock:
            members = self._members(group)
            members.clear()
            members.update(connection_ids)

    def _members(self, group: str) -> set[str]:
        members = self._groups.setdefault(group, set())
        self._groups.move_to_end(group)
        if len(self._groups) > self._max_groups:
            self._groups.popitem(last=False)
        return members

    def measure(self) -> dict[str, int]:
        """Everything since the start: ``messages`` and ``bytes`` sent, ``billed`` messages, those among the sent whose
        receivers are not known, and each ``Count``."""
        names = ("messages", "bytes", "billed", "unknown_receivers", "refused", "failed", "retried", "throttled")
        with self._lock:
            return {name: self._counts[name] for name in names}
