"""The contract: what is counted is shown to services, in Prometheus' format, and to nobody else."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamsink.demo.scripted import Pause, Text
from streamsink.hosts import metrics_calls

from .contract_checking import assert_error
from .support import Gate, Model, make_agent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .contract_checking import Check, MakeSite

METRICS = "/api/metrics"


async def metrics_are_for_services(make: MakeSite) -> None:
    """They say what a deployment costs."""
    async with make() as site:
        assert_error(await site("ann").get(METRICS), 403, "forbidden")
        assert_error(await site(None).get(METRICS), 401, "unauthenticated")
        assert (await site("office").get(METRICS)).status_code == 200


async def metrics_are_prometheus_text(make: MakeSite) -> None:
    """With the runs that are open, and what the sink counts."""
    gate = Gate()
    async with make(make_agent(Model([Text("Half"), Pause(gate), Text(" whole")]))) as site:
        thread = await site.thread()
        await site.run(thread)
        await gate.reached.wait()

        reply = await site("office").get(METRICS)

        assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert reply.headers["cache-control"] == "no-store"
        families = {each.name: each for each in text_string_to_metric_families(reply.text)}
        assert families["streamsink_undelivered"].type == "counter"
        assert [sample.value for sample in families["streamsink_undelivered"].samples] == [0]
        assert all(each.documentation for each in families.values())
        if "streamsink_open_runs" in families:  # a host whose runs are elsewhere cannot tell
            assert [sample.value for sample in families["streamsink_open_runs"].samples] == [1]
        gate.opened.set()
        await site.done(thread)


async def metrics_may_be_open_metrics(make: MakeSite) -> None:
    async with make() as site:
        headers = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
        reply = await site("office").get(METRICS, headers=headers)

        assert reply.headers["content-type"].startswith("application/openmetrics-text")
        assert reply.text.endswith("# EOF\n")


async def metrics_name_the_package_that_they_need(make: MakeSite) -> None:
    async with make() as site:
        with without_prometheus():
            reply = await site("office").get(METRICS)

        assert "streamsink[metrics]" in assert_error(reply, 500, "missing_extra")


@contextmanager
def without_prometheus() -> Iterator[None]:
    """As if the package had been imported where it is not installed."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.delitem(sys.modules, "streamsink.hosts.metrics")
            patch.setitem(sys.modules, "prometheus_client", None)
            importlib.reload(metrics_calls)
            yield
    finally:
        importlib.reload(metrics_calls)


CHECKS: tuple[Check, ...] = (
    metrics_are_for_services,
    metrics_are_prometheus_text,
    metrics_may_be_open_metrics,
    metrics_name_the_package_that_they_need,
)
