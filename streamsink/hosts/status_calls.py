"""Whether this host lives and can deliver."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from streamsink.core.errors import UnavailableError
from streamsink.hosts.api import PublicRoute
from streamsink.hosts.http import Call, Reply, json_reply

if TYPE_CHECKING:
    from streamsink.core.sink import StreamSink

__all__ = ["StatusCalls"]

_CHECK_S: Final = 5.0


class StatusCalls:
    """Handlers that anybody may call."""

    def __init__(self, sink: StreamSink) -> None:
        self._sink = sink

    def routes(self) -> list[PublicRoute]:
        """The calls."""
        return [
            PublicRoute(method="GET", path="/api/health", handler=self.health),
            PublicRoute(method="GET", path="/api/ready", handler=self.ready),
        ]

    async def health(self, call: Call) -> Reply:
        """This process lives."""
        return json_reply({"status": "ok"})

    async def ready(self, call: Call) -> Reply:
        """This process can deliver; 503 says why it cannot. Says so where nothing is kept (docs/history.md)."""
        try:
            async with asyncio.timeout(_CHECK_S):
                await self._sink.check()
        except TimeoutError as error:
            raise UnavailableError("the backend did not answer in time") from error
        if self._sink.keeps_history:
            return json_reply({"status": "ready"})
        return json_reply({"status": "ready", "history": "none"})
