"""Starlette's requests as core's, and the URL that clients reach us by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from streamsink.core.errors import InvalidRequestError, TooLargeError
from streamsink.core.identity import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request as StarletteRequest

__all__ = ["base_url", "is_https", "neutral_request", "read_body", "route_path", "url_at"]

_HOST: Final = re.compile(r"[A-Za-z0-9._~-]{1,255}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


def route_path(scope: Mapping[str, Any]) -> str:
    """The path below the mount prefix, however the server or the outer app has split the two."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :] or "/"
    return path


def base_url(native: StarletteRequest, public_url: str | None) -> str:
    """Where clients reach this host, with the mount prefix and no slash at the end.

    Raises:
        InvalidRequestError: the Host header is not a host.
    """
    if public_url is not None:
        return public_url
    root = str(native.scope.get("root_path", "")).rstrip("/")
    return url_at(native.url.scheme, native.headers.get("host", "")) + root


def url_at(scheme: str, host: str) -> str:
    """The URL of what answers to a Host header.

    Raises:
        InvalidRequestError: it is not a host.
    """
    if not _HOST.fullmatch(host):
        raise InvalidRequestError("the Host header should name a host; or set STREAM_PUBLIC_URL")
    return f"{scheme}://{host}"


async def read_body(native: StarletteRequest, max_bytes: int) -> bytes:
    """The body, whole; no more than the bound and one chunk is ever held.

    Raises:
        TooLargeError: it is larger.
    """
    body = bytearray()
    async for chunk in native.stream():
        body += chunk
        if len(body) > max_bytes:
            raise TooLargeError(f"the body should be at most {max_bytes} bytes")
    return bytes(body)


def neutral_request(native: StarletteRequest) -> Request:
    """The same request as every host gives it to ``identify``."""
    headers: dict[str, str] = {}
    for name, value in native.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Request(
        method=native.method,
        path=route_path(native.scope),
        query=dict(native.query_params),
        headers=headers,
        cookies=native.cookies,
        native=native,
    )


def is_https(request: Request) -> bool:
    """Whether the browser used https: to the server itself, or to the proxy in front, as far as that says so."""
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return forwarded == "https" or (not forwarded and request.native.url.scheme == "https")
