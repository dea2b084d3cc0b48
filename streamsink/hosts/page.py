"""The web page: files of the package, served with headers that allow it nothing it does not need."""

from __future__ import annotations

import hashlib
import html
from dataclasses import dataclass
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
        "img-src 'self' data:",
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
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "svg": "image/svg+xml",
}
_MISSING: Final = (
    "the browser libraries are not in place; in a checkout, run: npm ci && npm run vendor; the wheel contains them"
)


class Page:
    """``/api/index`` and what it loads, read once.

    Args:
        agents: names to offer, the first one first.
    """

    def __init__(self, agents: Sequence[str]) -> None:
        # Only what is here is served: a request can name nothing else.
        self._files = dict(_walk(resources.files("streamsink") / "static", ""))
        names = html.escape(",".join(agents), quote=True).encode()
        self._index = _File.of("index.html", self._files["index.html"].body.replace(b"{{agents}}", names))

    def index(self, request: Request) -> Reply:
        """The page itself."""
        return self._index.reply(request)

    def file(self, request: Request, path: str) -> Reply:
        """A file beside it.

        Raises:
            NotFoundError: there is none of that name.
        """
        found = self._files.get(path)
        if found is None:
            raise NotFoundError(_MISSING if path.startswith("vendor/") else "there is no such file")
        return found.reply(request)


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    media_type: str
    tag: str

    @classmethod
    def of(cls, path: str, body: bytes) -> _File:
        media_type = _TYPES.get(path.rpartition(".")[2], "application/octet-stream")
        return cls(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    def reply(self, request: Request) -> Reply:
        headers = (("content-type", self.media_type), ("etag", self.tag), ("cache-control", "no-cache"), *_HEADERS)
        if request.headers.get("if-none-match") == self.tag:
            return Reply(status=304, headers=headers)
        return Reply(body=self.body, headers=headers)


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, _File]]:
    for entry in folder.iterdir():
        path = prefix + entry.name
        if entry.is_dir():
            yield from _walk(entry, f"{path}/")
        else:
            yield path, _File.of(path, entry.read_bytes())
