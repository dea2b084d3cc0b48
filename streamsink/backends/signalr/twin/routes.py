"""Which operation a verb and a path are. Sans-IO.

Source: the operations of the data-plane swaggers 2024-12-01 (new shape) and 1.0 (``/api/v1``). What they do not list
is not found, although Microsoft's emulator serves more: what works here should work there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from streamsink.backends.signalr.twin.problems import INVALID_REQUEST, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Kind", "Route", "find_route"]


class Kind(Enum):
    """What can be asked for; the value is the name under which faults know it."""

    HEALTH = "health"
    SEND = "send"
    EXISTS = "exists"
    USER_IN_GROUP = "member"
    CLOSE = "close"
    CLOSE_ONE = "kick"
    JOIN = "join"
    LEAVE = "leave"
    JOIN_USER = "join-user"
    LEAVE_USER = "leave-user"
    MEMBERS = "list"
    TOKEN = "token"  # noqa: S105  a name


@dataclass(frozen=True, slots=True)
class Route:
    """An operation that was found.

    Args:
        kind: which.
        names: hub, group, user and connection of the path, decoded.
        status: of its success.
        is_old: whether it was asked under ``/api/v1``.
        needs_token: whether a stranger may not ask.
    """

    kind: Kind
    names: Mapping[str, str]
    status: int
    is_old: bool
    needs_token: bool = True


# Kind, verbs, path and the status of a success. Numbers: rows of the table in docs/twin.md.
_NEW: Final = (
    (Kind.HEALTH, "HEAD GET", "health", 200),  # 1
    (Kind.SEND, "POST", "hubs/{hub}/:send", 202),  # 2
    (Kind.SEND, "POST", "hubs/{hub}/users/{user}/:send", 202),  # 3
    (Kind.SEND, "POST", "hubs/{hub}/connections/{connection}/:send", 202),  # 4
    (Kind.SEND, "POST", "hubs/{hub}/groups/{group}/:send", 202),  # 5
    (Kind.EXISTS, "HEAD", "hubs/{hub}/connections/{connection}", 200),  # 6
    (Kind.EXISTS, "HEAD", "hubs/{hub}/users/{user}", 200),  # 7
    (Kind.EXISTS, "HEAD", "hubs/{hub}/groups/{group}", 200),  # 8
    (Kind.CLOSE_ONE, "DELETE", "hubs/{hub}/connections/{connection}", 200),  # 9
    (Kind.CLOSE, "POST", "hubs/{hub}/:closeConnections", 204),  # 10
    (Kind.CLOSE, "POST", "hubs/{hub}/groups/{group}/:closeConnections", 204),  # 11
    (Kind.CLOSE, "POST", "hubs/{hub}/users/{user}/:closeConnections", 204),  # 12
    (Kind.JOIN, "PUT", "hubs/{hub}/groups/{group}/connections/{connection}", 200),  # 13
    (Kind.LEAVE, "DELETE", "hubs/{hub}/groups/{group}/connections/{connection}", 200),  # 14
    (Kind.LEAVE, "DELETE", "hubs/{hub}/connections/{connection}/groups", 200),  # 15
    (Kind.USER_IN_GROUP, "HEAD GET", "hubs/{hub}/users/{user}/groups/{group}", 200),  # 16; .NET's SDK says GET
    (Kind.JOIN_USER, "PUT", "hubs/{hub}/users/{user}/groups/{group}", 200),  # 17
    (Kind.LEAVE_USER, "DELETE", "hubs/{hub}/users/{user}/groups/{group}", 204),  # 18
    (Kind.LEAVE_USER, "DELETE", "hubs/{hub}/users/{user}/groups", 204),  # 19
    (Kind.TOKEN, "POST", "hubs/{hub}/:generateToken", 200),  # 20
    (Kind.MEMBERS, "GET", "hubs/{hub}/groups/{group}/connections", 200),  # 26
)
_OLD: Final = (
    (Kind.HEALTH, "HEAD GET", "health", 200),
    (Kind.SEND, "POST", "hubs/{hub}", 202),
    (Kind.SEND, "POST", "hubs/{hub}/users/{user}", 202),
    (Kind.SEND, "POST", "hubs/{hub}/connections/{connection}", 202),
    (Kind.SEND, "POST", "hubs/{hub}/groups/{group}", 202),
    (Kind.EXISTS, "HEAD GET", "hubs/{hub}/connections/{connection}", 200),
    (Kind.EXISTS, "HEAD GET", "hubs/{hub}/users/{user}", 200),
    (Kind.EXISTS, "HEAD GET", "hubs/{hub}/groups/{group}", 200),
    (Kind.CLOSE_ONE, "DELETE", "hubs/{hub}/connections/{connection}", 202),
    (Kind.JOIN, "PUT", "hubs/{hub}/groups/{group}/connections/{connection}", 200),
    (Kind.LEAVE, "DELETE", "hubs/{hub}/groups/{group}/connections/{connection}", 200),
    (Kind.USER_IN_GROUP, "HEAD GET", "hubs/{hub}/groups/{group}/users/{user}", 200),
    (Kind.JOIN_USER, "PUT", "hubs/{hub}/groups/{group}/users/{user}", 202),
    (Kind.LEAVE_USER, "DELETE", "hubs/{hub}/groups/{group}/users/{user}", 202),
    (Kind.LEAVE_USER, "DELETE", "hubs/{hub}/users/{user}/groups", 200),
)
_OLD_START: Final = "/api/v1/"
_NEW_START: Final = "/api/"


def find_route(method: str, path: str) -> Route:
    """The operation of a request.

    Args:
        method: in capitals.
        path: as it came, percent-encoded: a group's name may contain a slash.

    Raises:
        ServiceError: 404 or 405, there is none; 400, a name is not UTF-8.
    """
    is_old = path.startswith(_OLD_START)
    start, table = (_OLD_START, _OLD) if is_old else (_NEW_START, _NEW)
    if not path.startswith(start):
        raise ServiceError(404, "", "There is nothing here.")
    segments = path.removeprefix(start).split("/")
    allowed: list[str] = []
    for kind, verbs, template, status in table:
        encoded = _match(template.split("/"), segments)
        if encoded is not None and method in verbs.split():
            names = dict(_decoded(encoded))
            return Route(kind, names, status, is_old, needs_token=kind is not Kind.HEALTH)
        allowed += verbs.split() if encoded is not None else ()
    if allowed:
        raise ServiceError(405, "", "This verb is not for this path.", {"allow": ", ".join(sorted(set(allowed)))})
    raise ServiceError(404, "", "There is no such operation.")


def _match(template: list[str], segments: list[str]) -> dict[str, str] | None:
    if len(template) != len(segments):
        return None
    names: dict[str, str] = {}
    for expected, segment in zip(template, segments, strict=True):
        if expected.startswith("{"):
            if segment.startswith(":"):  # an operation, never a name: SDKs encode a colon
                return None
            names[expected[1:-1]] = segment
        elif expected != segment:
            return None
    return names


def _decoded(encoded: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, segment in encoded.items():
        try:
            yield name, unquote(segment, errors="strict")
        except UnicodeDecodeError:
            raise ServiceError(400, INVALID_REQUEST, f"The {name} is not UTF-8.") from None
