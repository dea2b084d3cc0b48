"""The web page: files of the package, served with headers that allow it nothing it does not need."""

from __future__ import annotations

import hashlib
import html
import mimetypes
from importlib import resources
from typing import TYPE_CHECKING, Final

from streamsink.core.errors import NotFoundError
from streamsink.hosts.http import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.resources.abc import Traversable

    from streamsink.core.identity import Request

__all__ = ["Page"]

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: https:",
        "font-src 'self'",
        # The clients of a backend may be held elsewhere, for example by Azure SignalR Service.
        "connect-src 'self' https: wss: http: ws:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
_HEADERS: Final = (
    ("content-security-policy", _POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
)
_TYPES: Final = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
_MISSING: Final = (
    "the browser libraries are not in place; in a checkout, run: npm ci && npm run vendor; the wheel contains them"
)


class Page:
    """``/api/index`` and what it loads. Every file is read here, once: a request can name nothing else.

    Args:
        agents: names to offer, the first one first.
    """

    def __init__(self, agents: Sequence[str]) -> None:
        names = html.escape(",".join(agents), quote=True).encode()
        files = {path: file.read_bytes() for path, file in _walk(resources.files("streamsink") / "static", "")}
        self._index = _reply(files["index.html"].replace(b"{{agents}}", names), "text/html; charset=utf-8")
        self._files = {path: _reply(body, _media_type(path)) for path, body in files.items()}

    def index(self, request: Request) -> Reply:
        """The page itself."""
        return _fresh(request, self._index)

    def file(self, request: Request, path: str) -> Reply:
        """A file beside it.

        Raises:
            NotFoundError: there is none of that name.
        """
        if path not in self._files:
            raise NotFoundError(_MISSING if path.startswith("vendor/") else "there is no such file")
        return _fresh(request, self._files[path])


def _media_type(path: str) -> str:
    suffix = "." + path.rpartition(".")[2]
    media_type = _TYPES.get(suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def _reply(body: bytes, media_type: str) -> Reply:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return Reply(
        body=body,
        headers=(("content-type", media_type), ("etag", tag), ("cache-control", "no-cache"), *_HEADERS),
    )


def _fresh(request: Request, reply: Reply) -> Reply:
    """``reply``, or that the browser has it already."""
    if ("etag", request.headers.get("if-none-match")) in reply.headers:
        return Reply(status=304, headers=reply.headers)
    return reply


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry
