"""What is counted."""

from __future__ import annotations

import pytest

from streamsink.backends.signalr.meter import Meter, billed_units


@pytest.mark.parametrize(("size", "units"), [(0, 1), (1, 1), (2_048, 1), (2_049, 2), (65_536, 32)])
def test_each_2_kib_begun_is_a_message(size: int, units: int) -> None:
    assert billed_units(size) == units


def test_receivers_count_where_they_are_known() -> None:
    meter = Meter()
    meter.sent("g", 3_000)
    assert counts(meter, "messages", "bytes", "billed", "unknown_receivers") == (1, 3_000, 2, 1)

    for connection in ("a", "b", "b", "c"):
        meter.joined("g", connection)
    meter.left("g", "c")
    meter.left("other", "c")
    meter.sent("g", 3_000)
    assert counts(meter, "messages", "billed", "unknown_receivers") == (2, 2 + 4, 1)

    meter.listed("g", [])
    meter.sent("g", 1)
    assert counts(meter, "messages", "billed") == (3, 6)  # nobody there, nothing to pay


def test_only_so_many_groups_are_remembered() -> None:
    meter = Meter(max_groups=2)
    for group in ("a", "b"):
        meter.joined(group, "c")
    meter.sent("a", 1)
    meter.joined("d", "c")
    meter.sent("b", 1)
    meter.sent("a", 1)

    assert counts(meter, "unknown_receivers") == (1,)


def test_everything_else_is_counted_too() -> None:
    meter = Meter()
    meter.count("retried")

    assert meter.measure() == {
        "messages": 0, "bytes": 0, "billed": 0, "unknown_receivers": 0,
        "refused": 0, "failed": 0, "retried": 1, "throttled": 0,
    }  # fmt: skip


def counts(meter: Meter, *names: str) -> tuple[int, ...]:
    found = meter.measure()
    return tuple(found[name] for name in names)
