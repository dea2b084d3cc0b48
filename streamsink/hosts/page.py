"""The web page: files of the package, served with headers that allow it nothing it does not need."""

from __future__ import annotations

import hashlib
import html
import mimetypes
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from streamsink.core.errors import NotFoundError
from streamsink.hosts.http import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence
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
    """``/api/index`` and what it loads.

    Args:
        agents: names to offer, the first one first.
    """

    def __init__(self, agents: Sequence[str]) -> None:
        self._agents = html.escape(",".join(agents), quote=True)

    def index(self, request: Request) -> Reply:
        """The page itself."""
        body = _read("index.html").replace(b"{{agents}}", self._agents.encode())
        return _reply(request, body, "text/html; charset=utf-8")

    def file(self, request: Request, path: str) -> Reply:
        """A file beside it.

        Raises:
            NotFoundError: there is none of that name.
        """
        suffix = "." + path.rpartition(".")[2]
        media_type = _TYPES.get(suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"
        text = media_type.startswith("text/")
        return _reply(request, _read(path), f"{media_type}; charset=utf-8" if text else media_type)


def _reply(request: Request, body: bytes, media_type: str) -> Reply:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = (("content-type", media_type), ("etag", tag), ("cache-control", "no-cache"), *_HEADERS)
    if request.headers.get("if-none-match") == tag:
        return Reply(status=304, headers=headers)
    return Reply(body=body, headers=headers)


@cache
def _read(path: str) -> bytes:
    found = _files().get(path)
    if found is None:
        raise NotFoundError(_MISSING if path.startswith("vendor/") else "there is no such file")
    return found.read_bytes()


@cache
def _files() -> dict[str, Traversable]:
    """Every file of the page by its path: a request can name nothing else."""
    return dict(_walk(resources.files("streamsink") / "static", ""))


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found.extend(_walk(entry, f"{prefix}{entry.name}/"))
        else:
            found.append((prefix + entry.name, entry))
    return found
