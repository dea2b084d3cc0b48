"""What a sink counts, for a registry of any application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from streamsink.core.identity import User
from streamsink.core.measures import COUNTERS, LEVELS
from streamsink.hosts.metrics import StreamCollector, exposition
from streamsink.testing.checking import batch, begun
from streamsink.testing.clock import virtual_time
from tests.support.worlds import world

from .support import running_site

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from streamsink.core.composed import ComposedSink


def sample(sink: ComposedSink, name: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(StreamCollector(sink))
    return registry.get_sample_value(name)


@virtual_time
async def test_counters_and_levels_are_collected() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        w.delivery.failures = 1_000
        await w.sink.send("t", batch("r1", 1, 4))
        await w.sink.tasks.aclose(grace_s=1_000)

        assert sample(w.sink, "streamsink_undelivered_total") == 4
        assert sample(w.sink, "streamsink_late") == 0
        assert sample(w.sink, "streamsink_open_runs") is None


@virtual_time
async def test_a_name_that_nobody_knows_is_shown_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure() -> Mapping[str, int]:
        return {"of_its_own": 1}

    async with world() as w:
        monkeypatch.setattr(w.sink, "measure", measure)
        text, content_type = exposition(w.sink, None, "")

    assert b"# HELP streamsink_of_its_own_total Counted by the backend" in text
    assert content_type.startswith("text/plain")


@virtual_time
async def test_a_sink_that_counts_nothing_has_no_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as w:
        monkeypatch.setattr(w.sink, "ability", lambda kind: None)

        assert exposition(w.sink, None, "")[0] == b""


@virtual_time
async def test_everything_that_we_count_has_a_meaning() -> None:
    async with running_site() as site:
        await site.sink.connect_info(User(subject="ann"), "http://host.test")
        text = (await site("office").get("/api/metrics")).text

    assert "Counted by the backend" not in text
    assert all(name.replace("_", "").isalpha() and name.islower() for name in (*COUNTERS, *LEVELS))
