"""How runs are published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from streamsink.core.coalescer import Pacer

if TYPE_CHECKING:
    from streamsink.core.settings import Settings

__all__ = ["PublishOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOptions:
    """How runs are published.

    Args:
        window_s: text of one message is merged for so long after the previous send.
        max_event_bytes: no event is larger: the smallest limit on its way.
        max_buffer_bytes: what one run may have waiting, before it ends with ``stream_overflow``.
        max_run_bytes: what one run may say, all in all, before it ends with ``stream_overflow``: it is kept until the
            run's end, for a store that loses events.
        lease_s: a producer that is silent for so long is taken for dead.
        give_up_s: how long an unreachable store is tried, before the run fails visibly.
        snapshot_every: records between two snapshots of a running run.
        pacer: the budget in messages per second, shared by all runs.
    """

    window_s: float = 0.025
    max_event_bytes: int = 65_536
    max_buffer_bytes: int = 1_048_576
    max_run_bytes: int = 16_777_216
    lease_s: float = 30.0
    give_up_s: float = 30.0
    snapshot_every: int = 1_000
    pacer: Pacer = field(default_factory=Pacer)

    @classmethod
    def from_settings(cls, settings: Settings, *, window_s: float = 0.025) -> Self:
        """What the settings say.

        Args:
            window_s: the backend's own window, where the settings name none.
        """
        return cls(
            window_s=window_s if settings.window_ms is None else settings.window_ms / 1000,
            max_event_bytes=settings.limits.max_event_bytes,
            max_buffer_bytes=settings.limits.max_buffer_bytes,
            lease_s=settings.times.lease_s,
            pacer=Pacer(settings.budget_per_s),
        )
