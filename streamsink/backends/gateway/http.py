"""The little HTTP that the gateway needs, on plain ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs

import msgspec

from streamsink.core.errors import (
    InvalidRequestError,
    StreamSinkError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from streamsink.backends.gateway.outbox import Send
    from streamsink.backends.gateway.session import Receive

__all__ = ["Reply", "Request", "Scope", "StreamReply", "preflight", "read_body", "refusal", "with_cors"]

Scope: TypeAlias = Mapping[str, Any]

METHODS: Final = "GET, POST, DELETE"


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its body.

    Args:
        method: in capitals; GET for a WebSocket upgrade.
        prefix: what the gateway is mounted under, without a slash at the end.
        route: the decoded path below it.
        query: every value, by name in lower case.
        headers: by name in lower case; repeated ones joined.
        is_upgrade: whether it asks for a WebSocket.
    """

    method: str
    prefix: str
    route: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    is_upgrade: bool

    @classmethod
    def of(cls, scope: Scope) -> Request:
        """The request of an ASGI scope."""
        path, root = scope["path"], scope.get("root_path", "").rstrip("/")
        route = path.removeprefix(root) if f"{path}/".startswith(f"{root}/") else path
        if root.endswith("/client"):  # mounted there, and not at the application's root
            root, route = root.removesuffix("/client"), f"/client{route}"
        return cls(
            method=scope.get("method", "GET"),
            prefix=root,
            route=route,
            query=_query(scope.get("query_string", b"")),
            headers=_headers(scope["headers"]),
            is_upgrade=scope["type"] == "websocket",
        )

    def parameter(self, name: str) -> str | None:
        """A query parameter's last value."""
        return self.query.get(name, [None])[-1]

    @property
    def access_token(self) -> str | None:
        """The token: of the header, otherwise of the query where a browser cannot set headers."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
        if self.is_upgrade or "text/event-stream" in self.headers.get("accept", ""):
            return self.parameter("access_token")
        return None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; text unless the headers say otherwise."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any) -> Reply:
        """200, with JSON that nobody may keep."""
        return cls(200, msgspec.json.encode(value), {"content-type": "application/json", "cache-control": "no-store"})

    async def send(self, send: Send) -> None:
        """As the answer to an HTTP request."""
        await self._send_as("http.response", send)

    async def deny(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the answer to a WebSocket upgrade; a server without the extension for it says 403."""
        await receive()  # websocket.connect
        if "websocket.http.response" in (scope.get("extensions") or {}):
            await self._send_as("websocket.http.response", send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _send_as(self, kind: str, send: Send) -> None:
        headers = dict(self.headers)
        if self.status != 204:  # RFC 9110 §8.6: no content, no length
            headers = {"content-type": "text/plain; charset=utf-8", **headers}
            headers["content-length"] = str(len(self.body))
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": f"{kind}.start", "status": self.status, "headers": raw})
        await send({"type": f"{kind}.body", "body": self.body})


@dataclass(frozen=True, slots=True)
class StreamReply(Reply):
    """An answer whose ``body`` is only its beginning.

    Args:
        stream: sends the rest.
    """

    stream: Callable[[Send], Awaitable[None]] = field(kw_only=True)

    async def send(self, send: Send) -> None:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await self.stream(send)


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """The whole body of a request.

    Raises:
        TooLargeError: it is longer than ``max_bytes``; no more than that is kept.
        InvalidRequestError: the client went away in the middle.
    """
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise TooLargeError("The body is too long")
        if not message.get("more_body", False):
            return bytes(body)
    raise InvalidRequestError("The body is incomplete")


def refusal(error: StreamSinkError) -> Reply:
    """The answer that an error is."""
    if isinstance(error, UnauthenticatedError):
        said = f' error="invalid_token", error_description="{error}"' if str(error) else ""
        return Reply(401, headers={"www-authenticate": f"Bearer{said}"})
    headers = {"retry-after": "1"} if isinstance(error, UnavailableError) else {}
    return Reply(error.status, str(error).encode(), headers)


def preflight(request: Request) -> Reply:
    """The answer to a CORS preflight of an allowed origin; needs no token."""
    wanted = request.headers.get("access-control-request-headers", "")
    return Reply(
        204,
        headers={
            "access-control-allow-methods": METHODS,
            # Applications may add headers of their own to every call of the client library.
            "access-control-allow-headers": wanted or "authorization, content-type, x-requested-with",
            "access-control-max-age": "600",
        },
    )


def with_cors(reply: Reply, request: Request) -> Reply:
    """The same answer, readable by the allowed origin that asked."""
    origin = request.headers.get("origin")
    if origin is None:
        return reply
    cors = {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "vary": "Origin",
    }
    return replace(reply, headers={**reply.headers, **cors})


def _query(raw: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, values in parse_qs(raw.decode("latin-1"), keep_blank_values=True).items():
        found.setdefault(name.lower(), []).extend(values)
    return found


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found
