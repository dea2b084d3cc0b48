"""Which web pages may call: the ``Origin`` header against our own origin and a list of others (RFC 6454)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Origin", "Origins"]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_ORIGIN: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]{0,31})://"
    r"(?P<host>[a-z0-9_-](?:[a-z0-9._-]{0,252})|\[[0-9a-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>/.*)?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Origin:
    """A scheme, a host and a port; two are equal when browsers call them the same origin.

    Args:
        scheme: in lower case.
        host: in lower case; other scripts as browsers send them (``xn--…``), IPv6 in brackets.
        port: filled in where the scheme has one by default; None for a scheme without ports.
    """

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Origin | None:
        """The origin that ``scheme://host[:port]`` names; None for all else, ``null`` and ``*`` included."""
        origin, rest = _split(text)
        return None if rest else origin

    @classmethod
    def of_url(cls, url: str) -> Origin | None:
        """The origin of an absolute URL; None when it is none, or carries a user name."""
        return _split(url)[0]


class Origins:
    """Decides about the ``Origin`` header of a request.

    Args:
        allowed: exact origins of pages that may call from elsewhere.

    Raises:
        ValueError: one is not ``scheme://host[:port]``; wildcards are not: callers' credentials are at stake.
    """

    __slots__ = ("_allowed",)

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = frozenset(_exact(text) for text in allowed)

    def allows(self, origin: str | None, url: str) -> bool:
        """Whether a request may be answered.

        Args:
            origin: the header; None when there is none: then no other site's page sent it. ``null``, which
                sandboxed pages and local files send, is refused.
            url: the request's own public URL, or any other of the same origin.
        """
        if origin is None:
            return True
        asking = Origin.parse(origin)
        return asking is not None and (asking in self._allowed or asking == Origin.of_url(url))


def _exact(text: str) -> Origin:
    origin = Origin.parse(text)
    if origin is None:
        raise ValueError("an origin should be scheme://host or scheme://host:port, without a path and without '*'")
    return origin


def _split(text: str) -> tuple[Origin | None, str]:
    found = _ORIGIN.fullmatch(text)
    if found is None:
        return None, ""
    scheme = found["scheme"].lower()
    port = int(found["port"]) if found["port"] else _DEFAULT_PORTS.get(scheme)
    if port is not None and not 1 <= port <= 65_535:
        return None, ""
    return Origin(scheme, found["host"].lower(), port), found["rest"] or ""
