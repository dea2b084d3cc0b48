"""Offers the history ``none``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.plugins import BackendContext, TimelineSpec, hookimpl

if TYPE_CHECKING:
    from streamsink.backends.none.timeline import NoTimeline


@hookimpl
def streamsink_timelines() -> list[TimelineSpec]:
    """The timeline ``none``."""
    return [TimelineSpec(name="none", factory=_make_timeline)]


def _make_timeline(context: BackendContext, _: None) -> NoTimeline:
    from streamsink.backends.none.timeline import NoTimeline

    return NoTimeline(runtime=context.runtime)
