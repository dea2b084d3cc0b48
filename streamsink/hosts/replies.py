"""Replies as Starlette's responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match, Route
from starlette.websockets import WebSocket

from streamsink.core.errors import NotFoundError, StreamSinkError
from streamsink.hosts.errors import MethodNotAllowedError
from streamsink.hosts.http import Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request as StarletteRequest
    from starlette.types import ExceptionHandler, Receive, Scope, Send

__all__ = ["EXCEPTION_HANDLERS", "refuse", "response_to"]


def response_to(native: StarletteRequest, reply: Reply) -> Response:
    """The response that a reply is; to HEAD without its body."""
    response: Response
    if reply.stream is not None and native.method != "HEAD":
        response = _Stream(reply.stream, reply.status)
    else:
        response = Response(reply.body, status_code=reply.status)
    for name, value in reply.headers:
        response.headers.append(name, value)
    return response


class _Stream(StreamingResponse):
    """Closes what it streams, whoever ends it."""

    def __init__(self, parts: AsyncGenerator[bytes, None], status: int) -> None:
        super().__init__(parts, status_code=status)
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except ClientDisconnect:
            return
        finally:
            await self._parts.aclose()


async def refuse(scope: Scope, receive: Receive, send: Send, error: StreamSinkError) -> None:
    """Answer an HTTP request, or the upgrade to a WebSocket, with an error."""
    reply = error_reply(error)
    response = Response(reply.body, status_code=reply.status, headers=dict(reply.headers))
    if scope["type"] == "http":
        await response(scope, receive, send)
        return
    socket = WebSocket(scope, receive, send)
    await receive()  # websocket.connect
    if "websocket.http.response" in scope.get("extensions", {}):
        await socket.send_denial_response(response)
    else:
        await send({"type": "websocket.close", "code": 1013, "reason": ""})


async def _unrouted(native: StarletteRequest, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 405:
        return response_to(native, error_reply(MethodNotAllowedError(_allowed(native))))
    return response_to(
        native, error_reply(NotFoundError("there is nothing here; the API is described in docs/http.md"))
    )


def _allowed(native: StarletteRequest) -> set[str]:
    """The methods of every route with this path; the router's own error names those of one route."""
    routes = [route for route in native.app.routes if isinstance(route, Route)]
    matching = [route for route in routes if route.matches(native.scope)[0] is not Match.NONE]
    return {method for route in matching for method in route.methods or ()}


async def _failed(native: StarletteRequest, error: Exception) -> Response:
    known = error if isinstance(error, StreamSinkError) else StreamSinkError("something went wrong here")
    return response_to(native, error_reply(known))


async def _gone(native: StarletteRequest, error: Exception) -> Response:
    """Nobody reads it."""
    return Response(status_code=400)


EXCEPTION_HANDLERS: dict[type[Exception], ExceptionHandler] = {
    HTTPException: _unrouted,
    StreamSinkError: _failed,
    ClientDisconnect: _gone,
}
"""What the router raises, and what is raised before the API is asked."""
