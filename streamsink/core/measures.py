"""What is counted, as plain numbers; who shows them to an operator is a host's affair."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COUNTERS", "LEVELS", "Measures"]

COUNTERS: Final[Mapping[str, str]] = {
    "messages": "Messages that the service has accepted.",
    "bytes": "Bytes of the messages that the service has accepted.",
    "billed": "Messages on the bill as far as this process knows their receivers: one per 2 KiB begun and receiver.",
    "unknown_receivers": "Messages whose receivers are not known, and which count as billed once.",
    "saved": "Pieces that left inside others: messages that merging has spared.",
    "refused": "Events that the service will never take.",
    "failed": "Calls of the service that were given up.",
    "retried": "Requests to the service that were made again.",
    "throttled": "Requests that the service answered with 429.",
    "redelivered": "Events whose delivery succeeded only in the background, after a failure.",
    "undelivered": "Events whose delivery was given up; clients read them from the timeline.",
    "slow_readers": "Client connections closed because they could not keep up.",
}
"""Names of what rises from the start of a process, and what each means. A backend may count more under other names."""

LEVELS: Final[Mapping[str, str]] = {
    "late": "Events that wait to be delivered again.",
    "connections": "Clients connected to this process.",
}
"""The same of what rises and falls."""


class Measures(ABC):
    """An ability: what deliveries cost and what went wrong with them is counted, from any thread.

    Names are words of lower-case letters and ``_``.
    """

    @abstractmethod
    def measure(self) -> Mapping[str, int]:
        """Counters since the start, by name."""

    def levels(self) -> Mapping[str, int]:
        """How much there is now, by name. Nothing, where it is not said."""
        return {}
