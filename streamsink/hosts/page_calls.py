"""The page, for anybody who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.core.errors import StreamSinkError
from streamsink.core.identity import Identify, resolve
from streamsink.hosts import paths
from streamsink.hosts.api import PublicRoute

if TYPE_CHECKING:
    from streamsink.hosts.http import Call, Reply
    from streamsink.hosts.page import Page

__all__ = ["PageCalls"]


class PageCalls:
    """Handlers that anybody may call."""

    def __init__(self, page: Page, identify: Identify) -> None:
        self._page = page
        self._identify = identify

    def routes(self) -> list[PublicRoute]:
        """The calls."""
        return [
            PublicRoute(method="GET", path=paths.INDEX, handler=self.index),
            PublicRoute(method="GET", path=paths.STATIC, handler=self.file),
        ]

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
