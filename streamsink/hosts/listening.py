"""The listening socket, and the URL that opens it."""

from __future__ import annotations

import socket
from typing import Final

__all__ = ["BACKLOG", "listen", "url_of"]

BACKLOG: Final = 2_048


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0: a free one.

    Raises:
        OSError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def url_of(host: str, listener: socket.socket) -> str:
    """Where a browser of this machine opens what listens on ``host``."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{listener.getsockname()[1]}"
