"""The HTTP API as functions: one for each path, of any method, so that every answer has the API's own shape.

No function demands a key: a browser has none, and shared pages would give it away. Who may what is for ``identify``
and ``authorize`` to say.
"""

# No postponed annotations here: the worker reads those of the functions.
import asyncio
import logging
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

import azure.functions as func

from streamsink.core.errors import NotFoundError, StreamSinkError, TooLargeError
from streamsink.core.identity import Request
from streamsink.hosts import paths
from streamsink.hosts.api import AnyRoute, Api
from streamsink.hosts.assembly import Assembly
from streamsink.hosts.errors import MethodNotAllowedError
from streamsink.hosts.failures import frames
from streamsink.hosts.functions.agent_loop import AgentLoop
from streamsink.hosts.functions.durable import Entities, reaching
from streamsink.hosts.functions.host import EntityHost
from streamsink.hosts.functions.parts import Parts
from streamsink.hosts.functions.requests import base_url, neutral_request, response_to
from streamsink.hosts.http import Call, Reply, error_reply

if TYPE_CHECKING:
    from streamsink.core.settings import Settings

__all__ = ["HttpFunctions"]

_log = logging.getLogger("streamsink")

_PREFIX: Final = "/api/"  # the platform's own, unless host.json says otherwise
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_REST: Final = re.compile(r"\{(\w+):path\}")
_NAMES: Final = re.compile(r"\{(\w+)")
_PARAMETER: Final = re.compile(r"/\{[^}]*\}")
# What is below our own paths and is no call gets our answer, too.
_BELOW: Final = ("/api/agent/{rest:path}", "/api/agents/{rest:path}")


class HttpFunctions:
    """Answers calls.

    Args:
        parts: opened on the loop that runs agents, by the first call that needs them.
    """

    def __init__(self, parts: Parts[Assembly[EntityHost]], loop: AgentLoop, settings: "Settings") -> None:
        self._parts = parts
        self._loop = loop
        self._settings = settings

    def add_to(self, app: Any, *, without: Collection[str] = ()) -> None:
        """Make the functions.

        Args:
            app: a Durable Functions app.
            without: paths that it does not answer.
        """
        for path in (*paths.PATHS, *_BELOW):
            if path not in without:
                self._add(app, path)

    def _add(self, app: Any, path: str) -> None:
        async def answer(req: func.HttpRequest, client: str) -> func.HttpResponse:
            return await self.answer(path, req, client)

        route = _REST.sub(r"{*\1}", path.removeprefix(_PREFIX))
        name = "streamsink-" + _PARAMETER.sub("", path.removeprefix(_PREFIX)).replace("/", "-")
        bound = app.durable_client_input(client_name="client")(answer)
        app.function_name(name)(app.route(route=route, methods=_METHODS, auth_level=func.AuthLevel.ANONYMOUS)(bound))

    async def answer(self, path: str, native: func.HttpRequest, client: Any) -> func.HttpResponse:
        """The response to one request; never raises but for cancellation."""
        request = neutral_request(native, self._settings.auth.service_keys)
        with reaching(Entities(client, asyncio.get_running_loop())):
            try:
                reply = await self._loop.call(lambda: self._reply(path, request, native))
            except StreamSinkError as error:
                reply = error_reply(error)
            except Exception as error:
                _log.error("%s %s failed: %s", request.method, path, frames(error))
                reply = error_reply(StreamSinkError("something went wrong here; it has been logged"))
        return response_to(request.method, reply)

    async def _reply(self, path: str, request: Request, native: func.HttpRequest) -> Reply:
        api = (await self._parts.get()).api
        url = base_url(native, self._settings.public_url)
        if request.method == "OPTIONS":
            return api.preflight(request, url)
        try:
            route, body = _find(api, path, request.method), self._body(native)
        except StreamSinkError as error:
            return error_reply(error).with_headers(*api.cors(request, url))
        # A rest that is empty is no parameter to the platform.
        params = dict.fromkeys(_NAMES.findall(path), "") | dict(native.route_params)
        return await api.answer(route, Call(request=request, body=body, params=params, base_url=url))

    def _body(self, native: func.HttpRequest) -> bytes:
        body, max_bytes = native.get_body(), self._settings.limits.max_body_bytes
        if len(body) > max_bytes:
            raise TooLargeError(f"the body should be at most {max_bytes} bytes")
        return body


def _find(api: Api, path: str, method: str) -> AnyRoute:
    methods = {route.method: route for route in api.routes if route.path == path}
    if not methods:
        raise NotFoundError("there is nothing here; the API is described in docs/http.md")
    route = methods.get("GET" if method == "HEAD" else method)
    if route is None:
        raise MethodNotAllowedError({*methods, *(("HEAD",) if "GET" in methods else ()), "OPTIONS"})
    return route
