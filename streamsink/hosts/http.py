"""HTTP requests and replies as values, the same on every host."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from streamsink.core.errors import (
    BusyError,
    InvalidRequestError,
    StreamSinkError,
    UnauthenticatedError,
    UnavailableError,
)
from streamsink.hosts.errors import MethodNotAllowedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from streamsink.core.identity import Request

__all__ = ["NO_STORE", "Call", "Reply", "error_reply", "json_reply", "read_json", "wants"]

NO_STORE: Final = ("cache-control", "no-store")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request with its body.

    Args:
        request: everything but the body.
        body: whole; the host has bounded it.
        params: the variable parts of the route's path, decoded.
        base_url: where clients reach this host, with the prefix that it is mounted under and no slash at the end.
    """

    request: Request
    body: bytes = b""
    params: Mapping[str, str] = field(default_factory=dict)
    base_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer.

    Args:
        stream: the body's parts as they come, instead of ``body``. The host closes it.
    """

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    stream: AsyncGenerator[bytes, None] | None = None

    def with_headers(self, *headers: tuple[str, str]) -> Reply:
        """The same answer with further headers."""
        return Reply(status=self.status, body=self.body, headers=(*self.headers, *headers), stream=self.stream)


def json_reply(value: Any, status: int = 200) -> Reply:
    """``value`` as JSON, not to be stored by anybody."""
    return Reply(
        status=status,
        body=msgspec.json.encode(value),
        headers=(("content-type", "application/json"), NO_STORE),
    )


def error_reply(error: StreamSinkError, **more: Any) -> Reply:
    """The one shape of every error: ``{"error": {"code", "message"}}``."""
    reply = json_reply({"error": {"code": error.code, "message": str(error)}, **more}, error.status)
    if isinstance(error, (BusyError, UnavailableError)) and error.retry_after_s is not None:
        return reply.with_headers(("retry-after", str(max(1, math.ceil(error.retry_after_s)))))
    if isinstance(error, MethodNotAllowedError):
        return reply.with_headers(("allow", ", ".join(sorted(error.allowed))))
    if isinstance(error, UnauthenticatedError):
        return reply.with_headers(("www-authenticate", "Bearer"))
    return reply


def read_json(body: bytes) -> dict[str, Any]:
    """The JSON object that a body holds; an empty body is an empty object.

    Raises:
        InvalidRequestError: it holds something else.
    """
    if not body.strip():
        return {}
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestError("the body should be a JSON object") from error
    if not isinstance(value, dict):
        raise InvalidRequestError("the body should be a JSON object")
    return value


def wants(request: Request, media_type: str) -> bool:
    """Whether the caller asks for exactly this media type."""
    accept = request.headers.get("accept", "")
    return any(part.partition(";")[0].strip().lower() == media_type for part in accept.split(","))
