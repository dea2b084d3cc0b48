"""The self-hosted ASGI app: API, page and gateway, alone or mounted into somebody else's app.

::

    streams = StreamApp([agent], identify=my_login)

    @asynccontextmanager
    async def lifespan(app):
        async with streams.running():
            yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/chat", streams)
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import Route as StarletteRoute

from streamsink.core.delivery import ServesClients, ServesSockets
from streamsink.core.errors import (
    InvalidRequestError,
    NotFoundError,
    SettingsError,
    StreamSinkError,
    TooLargeError,
    UnavailableError,
)
from streamsink.core.names import AGENT_NAME
from streamsink.hosts.assembly import Assembly, assemble
from streamsink.hosts.background import BackgroundHost
from streamsink.hosts.http import Call, error_reply
from streamsink.hosts.replies import EXCEPTION_HANDLERS, refuse, response_to
from streamsink.hosts.requests import base_url, is_https, neutral_request, read_body, route_path
from streamsink.plugins import create_plugin_manager, load_settings

if TYPE_CHECKING:
    from agent_framework import SupportsAgentRun
    from starlette.requests import Request as StarletteRequest
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from streamsink.core.identity import Authorize, Identify
    from streamsink.core.settings import Settings
    from streamsink.core.sink import StreamSink
    from streamsink.hosts.api import AnyRoute, Api
    from streamsink.hosts.sessions import Sessions

__all__ = ["StreamApp"]


class StreamApp:
    """An ASGI application.

    Served alone, it runs with the server's lifespan. Mounted, the outer app enters ``running()`` in its own
    lifespan, since mounting does not run the lifespan of what is mounted.

    Args:
        agents: to be asked for under their names; or by the names that a mapping gives them.
        settings: None: from the environment.
        identify: who is calling; None: as the settings say.
        authorize: what they may do; None: owners, ticket holders and services.
        sink: made by the caller, who closes it; None: the one that the settings ask for.
        sessions: where agents' sessions wait between turns; None: where the backend keeps them for every node, or in
            this process.

    Raises:
        SettingsError: a setting is missing or wrong, or two agents have one name.
    """

    def __init__(
        self,
        agents: Sequence[SupportsAgentRun] | Mapping[str, SupportsAgentRun],
        *,
        settings: Settings | None = None,
        identify: Identify | None = None,
        authorize: Authorize | None = None,
        sink: StreamSink | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        self._agents = _by_name(agents)
        self._settings = settings or load_settings(os.environ, create_plugin_manager())
        self._identify = identify
        self._authorize = authorize
        self._sink = sink
        self._sessions = sessions
        self._running: tuple[Starlette, Any] | None = None
        self._sockets: ServesSockets | None = None
        self._drain: Callable[[float], Awaitable[None]] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[StreamSink]:
        """Serve while inside; gives the sink, for the app's own publishing.

        Leaving drains: nothing more is accepted, runs end or are ended visibly, clients are told to reconnect.
        """
        async with assemble(
            self._settings,
            make_host=self._host,
            identify=self._identify,
            authorize=self._authorize,
            sink=self._sink,
            is_secure=is_https,
        ) as assembly:
            clients = assembly.sink.ability(ServesClients)
            self._running = self._router(assembly), clients.client_app if clients is not None else None
            self._sockets = assembly.sink.ability(ServesSockets)
            self._drain = assembly.drain
            try:
                yield assembly.sink
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

    def _host(self, sink: StreamSink) -> BackgroundHost:
        return BackgroundHost(
            sink,
            self._agents,
            sessions=self._sessions,
            time_limit_s=self._settings.times.run_timeout_s,
            queue_timeout_s=self._settings.times.queue_timeout_s,
            max_runs_per_user=self._settings.limits.max_runs_per_user,
            max_runs=self._settings.limits.max_runs,
        )

    def _router(self, assembly: Assembly) -> Starlette:
        routes = [
            StarletteRoute(route.path, self._endpoint(assembly.api, route), methods=[route.method])
            for route in assembly.api.routes
        ]
        paths = {route.path for route in assembly.api.routes}
        routes += [StarletteRoute(path, self._preflight(assembly.api), methods=["OPTIONS"]) for path in paths]
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


def _by_name(agents: Sequence[SupportsAgentRun] | Mapping[str, SupportsAgentRun]) -> dict[str, SupportsAgentRun]:
    named = (
        list(agents.items()) if isinstance(agents, Mapping) else [(agent.name or agent.id, agent) for agent in agents]
    )
    try:
        by_name = {AGENT_NAME.validate(name): agent for name, agent in named}
    except InvalidRequestError as error:
        raise SettingsError("AGENTS", f"agents that can be asked for: {error}") from error
    if len(by_name) < len(named):
        raise SettingsError("AGENTS", "agents of different names; give them other names with a mapping")
    return by_name
