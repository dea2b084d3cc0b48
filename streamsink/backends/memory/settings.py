"""How much the memory timeline remembers."""

# No postponed annotations here: they are read at run time.
from dataclasses import dataclass
from typing import Annotated, Final

from streamsink.core.variables import Range, whole

__all__ = ["MemorySettings"]

_MIB: Final = 1_048_576

KEPT_EVENTS: Final = Range(100, 10_000_000)
KEPT_S: Final = Range(60, 31_536_000)
KEPT_BYTES: Final = Range(1 * _MIB, 1_048_576 * _MIB)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySettings:
    """What is kept.

    Args:
        events: events per thread, before those that a snapshot covers are trimmed.
        ttl_s: a thread untouched for so many seconds, without an open run, is forgotten.
        max_bytes: of all threads' events and snapshots, and of the responses of ended runs; the least recently
            touched threads without an open run are forgotten first.
    """

    events: Annotated[int, whole("STREAM_HISTORY_EVENTS", KEPT_EVENTS)] = 10_000
    ttl_s: Annotated[int, whole("STREAM_HISTORY_TTL_S", KEPT_S)] = 86_400
    max_bytes: Annotated[int, whole("STREAM_HISTORY_MAX_BYTES", KEPT_BYTES)] = 256 * _MIB
