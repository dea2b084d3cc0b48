"""The HTTP API: every host mounts these routes, and adds nothing to what they answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from streamsink.core.errors import ForbiddenError, StreamSinkError, UnauthenticatedError
from streamsink.core.identity import Action, Authorize, Identify, Request, User, resolve
from streamsink.core.names import THREAD_ID
from streamsink.hosts.failures import frames
from streamsink.hosts.http import Call, Reply, error_reply

if TYPE_CHECKING:
    from streamsink.core.limits import RateLimiter
    from streamsink.core.origins import Origins
    from streamsink.core.sink import StreamSink
    from streamsink.core.thread_ids import ThreadIds
    from streamsink.hosts.agent_host import AgentHost

__all__ = ["AnyRoute", "Api", "Handler", "PublicHandler", "PublicRoute", "Route", "Services"]

_log = logging.getLogger("streamsink")

Handler: TypeAlias = Callable[[Call, User], Awaitable[Reply]]
PublicHandler: TypeAlias = Callable[[Call], Awaitable[Reply]]

_ALLOWED_HEADERS: Final = (
    "authorization, content-type, idempotency-key, last-event-id, x-requested-with, x-signalr-user-agent, "
    "x-stream-service-key, x-stream-ticket, x-wait-for-response, x-ms-wait-for-response"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the handlers work with.

    Args:
        wait_s: how long a waiting run request may wait for the answer.
        max_prompt_chars, queue_limit, queue_timeout_s: bounds on a run request.
        redelivery_s: how long this host may take to execute an interrupted run again; 0: it does not.
        ordered: whether runs wait for their turn in the timeline; False: this host sees to their order.
        streams: whether this host can answer with a body that goes on.
    """

    sink: StreamSink
    host: AgentHost
    thread_ids: ThreadIds
    authorize: Authorize
    wait_s: float = 220.0
    max_prompt_chars: int = 32_000
    queue_limit: int = 8
    queue_timeout_s: float = 300.0
    redelivery_s: float = 0.0
    ordered: bool = True
    streams: bool = True

    async def allow(self, user: User, thread: object, action: Action) -> str:
        """``thread`` as a valid id on which ``user`` may do this.

        Raises:
            InvalidRequestError: it is no thread id.
            ForbiddenError: it is not theirs.
        """
        name = THREAD_ID.validate(thread)
        if not await resolve(self.authorize(user, name, action)):
            raise ForbiddenError("this conversation is not yours; ask its owner for a ticket")
        return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One call of the API, for identified callers.

    Args:
        method: in capitals.
        path: without the mount prefix; ``{name}`` stands for one segment, ``{name:path}`` for the rest.
    """

    method: str
    path: str
    handler: Handler


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicRoute:
    """One call of the API that anybody may make; otherwise as ``Route``."""

    method: str
    path: str
    handler: PublicHandler


AnyRoute: TypeAlias = Route | PublicRoute


class Api:
    """Answers calls: who is it, may they, do it, and say what went wrong in one shape.

    Args:
        routes: the calls.
        identify: who is calling.
        origins: which pages may call.
        limiter: bounds each caller's rate.
    """

    def __init__(
        self, routes: Sequence[AnyRoute], *, identify: Identify, origins: Origins, limiter: RateLimiter
    ) -> None:
        self.routes: tuple[AnyRoute, ...] = tuple(routes)
        self._identify = identify
        self._origins = origins
        self._limiter = limiter

    async def answer(self, route: AnyRoute, call: Call) -> Reply:
        """The reply to one call; never raises but for cancellation."""
        try:
            reply = await self._answer(route, call)
        except StreamSinkError as error:
            reply = error_reply(error)
        except Exception as error:
            _log.error("%s %s failed: %s", route.method, route.path, frames(error))
            reply = error_reply(StreamSinkError("something went wrong here; it has been logged"))
        return reply.with_headers(*self.cors(call.request, call.base_url))

    async def _answer(self, route: AnyRoute, call: Call) -> Reply:
        if isinstance(route, PublicRoute):
            return await route.handler(call)
        self._check_origin(call)
        user = await resolve(self._identify(call.request))
        if user is None:
            raise UnauthenticatedError("say who you are: send a bearer token, a service key or the session cookie")
        try:
            if not user.is_service:  # it calls for many people
                self._limiter.spend(user.id)
            reply = await route.handler(call, user)
        except StreamSinkError as error:
            reply = error_reply(error)
        return reply.with_headers(*user.response_headers)

    def _check_origin(self, call: Call) -> None:
        origin = call.request.headers.get("origin")
        if not self._origins.allows(origin, call.base_url):
            raise ForbiddenError("this page may not call from its origin; see STREAM_ALLOWED_ORIGINS")

    def cors(self, request: Request, base_url: str) -> tuple[tuple[str, str], ...]:
        """The headers that let an allowed page elsewhere read the answer."""
        origin = request.headers.get("origin")
        if origin is None:
            return ()
        if not self._origins.allows(origin, base_url):
            return (("vary", "Origin"),)
        return (
            ("access-control-allow-origin", origin),
            ("access-control-allow-credentials", "true"),
            ("access-control-expose-headers", "retry-after"),
            ("vary", "Origin"),
        )

    def preflight(self, request: Request, base_url: str) -> Reply:
        """The answer to ``OPTIONS``: which methods and headers an allowed page elsewhere may use."""
        headers = (
            ("access-control-allow-methods", "GET, POST, DELETE"),
            ("access-control-allow-headers", _ALLOWED_HEADERS),
            ("access-control-max-age", "600"),
        )
        return Reply(status=204, headers=(*headers, *self.cors(request, base_url)))
