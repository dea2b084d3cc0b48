"""What our ASGI applications share: the lifespan, the gateway below ``/client``, the API everywhere else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import Route as StarletteRoute

from streamsink.core.delivery import ServesClients, ServesSockets
from streamsink.core.errors import NotFoundError, StreamSinkError, TooLargeError, UnavailableError
from streamsink.hosts.http import Call, error_reply
from streamsink.hosts.replies import EXCEPTION_HANDLERS, refuse, response_to
from streamsink.hosts.requests import base_url, neutral_request, read_body, route_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request as StarletteRequest
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from streamsink.core.settings import Settings
    from streamsink.core.sink import StreamSink
    from streamsink.hosts.api import AnyRoute, Api

__all__ = ["Shell"]


class Shell(ABC):
    """An ASGI application around a sink.

    Served alone, it runs with the server's lifespan. Mounted, the outer app enters ``running()`` in its own.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: tuple[Starlette, Any] | None = None
        self._sockets: ServesSockets | None = None
        self._drain: Callable[[float], Awaitable[None]] | None = None

    @abstractmethod
    def running(self) -> AbstractAsyncContextManager[StreamSink]:
        """Serve while inside, and drain on leaving; gives the sink."""

    @asynccontextmanager
    async def _serving(
        self, sink: StreamSink, api: Api, drain: Callable[[float], Awaitable[None]]
    ) -> AsyncIterator[None]:
        """Answer requests while inside.

        Args:
            drain: given the seconds that runs may go on.
        """
        clients = sink.ability(ServesClients)
        self._running = self._router(api), clients.client_app if clients is not None else None
        self._sockets = sink.ability(ServesSockets)
        self._drain = drain
        try:
            yield
        finally:
            await self.drain()
            self._running = self._sockets = None

    def sockets(self) -> ServesSockets | None:
        """Who takes clients' WebSockets past ASGI while this runs; see :mod:`streamsink.hosts.sockets`."""
        return self._sockets

    async def drain(self) -> None:
        """Accept nothing more, let runs end for STREAM_DRAIN_S or end them visibly, tell clients to reconnect.

        Leaving ``running()`` does this; a server that closes sockets before it ends the lifespan calls it first.
        Idempotent.
        """
        drain, self._drain = self._drain, None
        if drain is not None:
            await drain(self._settings.times.drain_s)

    def _router(self, api: Api) -> Starlette:
        routes = [
            StarletteRoute(route.path, self._endpoint(api, route), methods=[route.method]) for route in api.routes
        ]
        paths = {route.path for route in api.routes}
        routes += [StarletteRoute(path, self._preflight(api), methods=["OPTIONS"]) for path in paths]
        app = Starlette(routes=routes, exception_handlers=EXCEPTION_HANDLERS)
        # Its redirects would go to whatever the Host header says.
        app.router.redirect_slashes = False
        return app

    def _endpoint(self, api: Api, route: AnyRoute) -> Callable[[StarletteRequest], Any]:
        async def endpoint(native: StarletteRequest) -> Response:
            url = base_url(native, self._settings.public_url)
            request = neutral_request(native)
            try:
                body = await read_body(native, self._settings.limits.max_body_bytes)
            except TooLargeError as error:
                return response_to(native, error_reply(error).with_headers(*api.cors(request, url)))
            call = Call(request=request, body=body, params=native.path_params, base_url=url)
            return response_to(native, await api.answer(route, call))

        return endpoint

    def _preflight(self, api: Api) -> Callable[[StarletteRequest], Any]:
        async def preflight(native: StarletteRequest) -> Response:
            url = base_url(native, self._settings.public_url)
            return response_to(native, api.preflight(neutral_request(native), url))

        return preflight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if self._running is None:
            await refuse(scope, receive, send, UnavailableError(_NOT_RUNNING))
            return
        router, clients = self._running
        path = route_path(scope)
        if path == "/client" or path.startswith("/client/"):
            if clients is None:
                await refuse(scope, receive, send, NotFoundError("clients of this backend connect elsewhere"))
            else:
                await clients(scope, receive, send)
        elif scope["type"] == "http":
            await router(scope, receive, send)
        else:
            await refuse(scope, receive, send, NotFoundError("there is nothing here"))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        try:
            async with self.running():
                await send({"type": "lifespan.startup.complete"})
                await receive()  # lifespan.shutdown
        except StreamSinkError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


_NOT_RUNNING = (
    "Streamsink is mounted but not running: enter `async with streams.running():` in the lifespan of the outer app"
)
