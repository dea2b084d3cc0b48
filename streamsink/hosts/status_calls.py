"""The page, and whether this host lives and can deliver."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from streamsink.core.errors import StreamSinkError, UnavailableError
from streamsink.core.identity import Identify, resolve
from streamsink.hosts.api import PublicRoute, Services
from streamsink.hosts.http import Call, Reply, json_reply

if TYPE_CHECKING:
    from streamsink.hosts.page import Page

__all__ = ["StatusCalls"]

_CHECK_S: Final = 5.0


class StatusCalls:
    """Handlers that anybody may call."""

    def __init__(self, services: Services, page: Page, identify: Identify) -> None:
        self._services = services
        self._page = page
        self._identify = identify

    def routes(self) -> list[PublicRoute]:
        """The calls."""
        return [
            PublicRoute(method="GET", path="/api/health", handler=self.health),
            PublicRoute(method="GET", path="/api/ready", handler=self.ready),
            PublicRoute(method="GET", path="/api/index", handler=self.index),
            PublicRoute(method="GET", path="/api/static/{path:path}", handler=self.file),
        ]

    async def health(self, call: Call) -> Reply:
        """This process lives."""
        return json_reply({"status": "ok"})

    async def ready(self, call: Call) -> Reply:
        """This process can deliver; 503 says why it cannot."""
        try:
            async with asyncio.timeout(_CHECK_S):
                await self._services.sink.check()
        except TimeoutError as error:
            raise UnavailableError("the backend did not answer in time") from error
        return json_reply({"status": "ready"})

    async def index(self, call: Call) -> Reply:
        """The page. Who comes for the first time gets the anonymous cookie here, before any call needs it."""
        reply = self._page.index(call.request)
        try:
            user = await resolve(self._identify(call.request))
        except StreamSinkError:
            return reply  # the page itself is for everybody; its calls will say what is wrong
        return reply if user is None else reply.with_headers(*user.response_headers)

    async def file(self, call: Call) -> Reply:
        """What the page loads."""
        return self._page.file(call.request, call.params["path"])
