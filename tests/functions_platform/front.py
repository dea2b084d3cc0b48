"""The HTTP front: keys, routes, and the way from a request to a function and back."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from aiohttp import web

from tests.functions_platform.data import Cookie, HttpAnswer, HttpCall, Text
from tests.functions_platform.web import Request, Target, parse_target
from tests.functions_platform.workers import WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.functions_platform.data import Answer
    from tests.functions_platform.pool import WorkerPool
    from tests.functions_platform.routes import Routes

__all__ = ["Front"]

#: The server writes these itself.
_OWN_HEADERS: Final = frozenset({"content-length", "transfer-encoding", "connection"})


class Front:
    def __init__(self, routes: Routes, pool: WorkerPool, keys: Mapping[str, str]) -> None:
        self._routes = routes
        self._pool = pool
        #: Level by key.
        self._keys = keys

    def level(self, request: Request, target: Target) -> str | None:
        """Return the level of the caller's key, which comes in a header or in the query."""
        return self._keys.get(request.header("x-functions-key") or target.query.get("code", ""))

    async def handle(self, request: Request) -> web.Response:
        target = parse_target(request.target)
        found = self._routes.find(request.method, target)
        if found is None:
            return web.Response(status=404)
        route, params = found
        if not route.allows(self.level(request, target)):
            return web.Response(status=401)
        try:
            outcome = await self._pool.invoke(route.function, _call(request, target, params))
        except WorkerDiedError:
            return web.Response(status=502)
        except TimeoutError:  # no worker lives
            return web.Response(status=503)
        return _response(outcome.value) if outcome.error is None else web.Response(status=500)


def _call(request: Request, target: Target, params: dict[str, str]) -> HttpCall:
    headers: dict[str, list[str]] = {}
    for name, value in request.headers:
        headers.setdefault(name.lower(), []).append(value)
    return HttpCall(
        method=request.method,
        url=f"http://{request.host}{target.display}",
        headers={name: ",".join(values) for name, values in headers.items()},
        query=target.query,
        params=params,
        body=request.body,
    )


def _response(answer: Answer | None) -> web.Response:
    match answer:
        case HttpAnswer():
            response = web.Response(status=answer.status, body=answer.body)
            for name, value in answer.headers.items():
                if name.lower() not in _OWN_HEADERS:
                    response.headers[name] = value
            for cookie in answer.cookies:
                response.headers.add("Set-Cookie", _set_cookie(cookie))
            return response
        case Text():
            return web.Response(text=answer.text)
        case None:
            return web.Response(status=204)


def _set_cookie(cookie: Cookie) -> str:
    """Write a cookie as ASP.NET does: its value escaped, whatever it was, which a client gives back as it is."""
    parts = [f"{cookie.name}={quote(cookie.value, safe='')}"]
    if cookie.expires_s is not None:
        parts.append(f"expires={format_datetime(datetime.fromtimestamp(cookie.expires_s, UTC), usegmt=True)}")
    if cookie.max_age_s is not None:
        parts.append(f"max-age={int(cookie.max_age_s)}")
    attributes = {"domain": cookie.domain, "path": cookie.path, "samesite": cookie.same_site}
    parts += [f"{name}={value}" for name, value in attributes.items() if value]
    parts += ["secure"] * cookie.secure + ["httponly"] * cookie.http_only
    return "; ".join(parts)
