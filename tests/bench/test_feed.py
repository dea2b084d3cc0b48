"""The bench's own codec, and its verdicts: figures are worth what their tools are."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bench import report
from bench.feed import EVENTS, JOIN, FeedProtocol, message, record
from bench.measure import Figures
from streamsink.core.events import Event


async def no_stats() -> dict[str, Any]:
    return {}


class Reader:
    """A feed that notes what it reads."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.protocol = FeedProtocol(
            lambda group, events: self.seen.append((group, events)),
            lambda group, member: self.seen.append((group, member)),
            no_stats,
        )


@given(st.data())
def test_records_are_read_back_however_they_were_cut(data: st.DataObject) -> None:
    reader = Reader()
    events = [Event("t", b"{}", "17", 5), Event("t", b'{"a":1}', "17", 6)]
    first = message([record(EVENTS, "g", events[:1]), record(EVENTS, "h", events)])
    stream = first + message([]) + message([record(JOIN, "g", member="c1")])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))

    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.protocol.data_received(stream[start:end])

    assert reader.seen == [("g", events[:1]), ("h", events), ("g", "c1")]


def figures(cpu_ms: float, **wrong: int) -> Figures:
    phase = {"per_s": 1_000.0, "cpu_ms": cpu_ms, "p50_ms": 0.1, "p99_ms": 1.0}
    phases = {(name, kind): phase for name in ("W1", "W2") for kind in ("single", "burst", "batch", "steady")}
    return Figures(idle_kb={2_000: 8.0}, worst_ms={2_000: 30.0}, phases=phases, wrong=wrong)


def test_goals_are_judged_by_medians() -> None:
    found = {"floor": [figures(10.0)] * 3, "ours": [figures(4.0), figures(4.5), figures(90.0)]}

    table = report.table(found)

    assert "W1, one by one: ours / the floor's single write: **0.45**, goal 1.4: holds" in table
    assert "DOES NOT HOLD" not in table
    assert "DOES NOT HOLD" in report.table({"floor": [figures(10.0)], "ours": [figures(15.0)]})


def test_one_lost_event_fails_the_run() -> None:
    assert not report.is_anything_wrong({"ours": [figures(1.0, lost=0)]})
    assert report.is_anything_wrong({"ours": [figures(1.0, lost=0), figures(1.0, lost=1)]})
