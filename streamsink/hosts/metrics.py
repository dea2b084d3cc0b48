"""What is counted, for Prometheus: a collector for any registry, and the text of one that has nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from streamsink.core.measures import COUNTERS, LEVELS, Measures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from streamsink.core.sink import StreamSink
    from streamsink.hosts.agent_host import AgentHost

__all__ = ["StreamCollector", "exposition"]

_PREFIX: Final = "streamsink_"
_OF_A_BACKEND: Final = "Counted by the backend; its documentation says what."


class StreamCollector(Collector):
    """What a sink and a host count: ``REGISTRY.register(StreamCollector(sink))`` in an application that has a
    registry of its own.

    Args:
        host: None: whose runs are not counted.
    """

    def __init__(self, sink: StreamSink, host: AgentHost | None = None) -> None:
        self._measures = sink.ability(Measures)
        self._host = host

    def describe(self) -> Iterator[Metric]:
        """Nothing: names are known when they are collected, and registering should not collect."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Counters ``streamsink_<name>_total`` and gauges ``streamsink_<name>``."""
        if self._measures is not None:
            for name, count in self._measures.measure().items():
                yield CounterMetricFamily(_PREFIX + name, COUNTERS.get(name, _OF_A_BACKEND), count)
            for name, level in self._measures.levels().items():
                yield GaugeMetricFamily(_PREFIX + name, LEVELS.get(name, _OF_A_BACKEND), level)
        if self._host is not None and self._host.open_runs is not None:
            yield GaugeMetricFamily(
                f"{_PREFIX}open_runs", "Runs that execute or wait in this process.", self._host.open_runs
            )


def exposition(sink: StreamSink, host: AgentHost | None, accept: str) -> tuple[bytes, str]:
    """The text, in the format that the caller accepts, and its content type.

    Args:
        accept: of the request; OpenMetrics where it asks for that, otherwise Prometheus' text format.
    """
    registry = CollectorRegistry()
    registry.register(StreamCollector(sink, host))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
