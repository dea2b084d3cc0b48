"""HTTP as Kestrel, the server of the Functions host and of the durable extension, understands it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Listener", "Request", "Target", "parse_target"]

_SLASH: Final = re.compile("(%2f)", re.IGNORECASE)
#: What handlers still do when the platform ends has no reader any more.
_SHUTDOWN_S: Final = 1.0


@dataclass(frozen=True)
class Target:
    """A request target: decoded segments of its path without dots, and its query."""

    segments: tuple[str, ...]
    query_string: str
    query: dict[str, str]

    @property
    def display(self) -> str:
        """Path and query as `GetDisplayUrl` writes them: the path decoded, the query as it came."""
        query = f"?{self.query_string}" if self.query_string else ""
        return f"/{'/'.join(self.segments)}{query}"


def parse_target(raw: str) -> Target:
    """Read a raw target: the query begins at the first `?`; everything but `%2F` is decoded, dots are resolved."""
    path, _, query = raw.partition("?")
    segments: list[str] = []
    for segment in map(_decode, path.strip("/").split("/")):
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(segment)
    return Target(tuple(segments), query, _query(query))


def _decode(segment: str) -> str:
    return "".join(part if _SLASH.fullmatch(part) else unquote(part) for part in _SLASH.split(segment))


def _query(query: str) -> dict[str, str]:
    """Join the values of one name with commas, as the host does; empty ones it leaves out."""
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(query):
        values.setdefault(name, []).append(value)
    return {name: ",".join(several) for name, several in values.items()}


@dataclass(frozen=True)
class Request:
    """A request as it came; `target` is raw."""

    method: str
    host: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


class Listener:
    """A server on a free loopback port."""

    def __init__(self, handle: Callable[[Request], Awaitable[web.Response]]) -> None:
        self._handle = handle
        self.url = ""

    async def start(self) -> None:
        """Listen, on the running loop."""
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = tuple(request.headers.items())
        return await self._handle(
            Request(request.method, request.host, request.raw_path, headers, await request.read())
        )

    async def aclose(self) -> None:
        await self._runner.cleanup()
