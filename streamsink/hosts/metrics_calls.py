"""What operators watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.core.errors import ForbiddenError, MissingExtraError
from streamsink.hosts import paths
from streamsink.hosts.api import Route
from streamsink.hosts.http import NO_STORE, Call, Reply

try:  # not at the first request: prometheus-client reads files when it is imported
    from streamsink.hosts.metrics import exposition
except ModuleNotFoundError:
    exposition = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from streamsink.core.identity import User
    from streamsink.core.sink import StreamSink
    from streamsink.hosts.agent_host import AgentHost

__all__ = ["MetricsCalls"]


class MetricsCalls:
    """Handlers for service callers: what is counted says what a deployment costs, and how much it is used.

    Args:
        host: None: none runs here.
    """

    def __init__(self, sink: StreamSink, host: AgentHost | None = None) -> None:
        self._sink = sink
        self._host = host

    def routes(self) -> list[Route]:
        """The calls."""
        return [Route(method="GET", path=paths.METRICS, handler=self.metrics)]

    async def metrics(self, call: Call, user: User) -> Reply:
        """The counters of this process, as Prometheus reads them.

        Raises:
            ForbiddenError: the caller is no service.
            MissingExtraError: prometheus-client is not installed.
        """
        if not user.is_service:
            raise ForbiddenError("metrics are for services: send a key of STREAM_SERVICE_KEYS")
        if exposition is None:
            raise MissingExtraError("/api/metrics", "metrics")
        body, content_type = exposition(self._sink, self._host, call.request.headers.get("accept", ""))
        return Reply(body=body, headers=(("content-type", content_type), NO_STORE))
