"""From a request to an operation, with everything checked. Sans-IO.

Source: patterns and ranges of the data-plane swagger 2024-12-01.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamsink.backends.gateway.audience import Audience
from streamsink.backends.signalr.twin.operations import (
    Close,
    Exists,
    Health,
    IsUserInGroup,
    Join,
    JoinUser,
    Leave,
    LeaveUser,
    ListMembers,
    MakeToken,
    Operation,
    Send,
)
from streamsink.backends.signalr.twin.payload import invalid, read_payload, token_place
from streamsink.backends.signalr.twin.routes import Kind, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Asked", "operation_of"]

_HUB: Final = re.compile(r"[A-Za-z][A-Za-z0-9_`,.[\]]{0,127}")
_NAME: Final = re.compile(r"(?!\s+$).{1,1024}")
_INTEGER: Final = re.compile(r"-?[0-9]{1,10}")
_VERSION: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?")
_MAX_INT32: Final = 2**31 - 1
_MAX_PAGE: Final = 200
_TOKEN_MINUTES: Final = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose operation is known.

    Args:
        route: the operation.
        path: as it came.
        query: every value, by name in lower case.
        content_type: empty: none.
        body: the whole.
    """

    route: Route
    path: str
    query: Mapping[str, Sequence[str]]
    content_type: str = ""
    body: bytes = b""

    def parameter(self, name: str) -> str | None:
        """A query parameter's last value."""
        values = self.query.get(name)
        return values[-1] if values else None

    def number(self, name: str, least: int, most: int = _MAX_INT32) -> int | None:
        """A whole number of the query."""
        value = self.parameter(name)
        if value is None:
            return None
        if _INTEGER.fullmatch(value) is None or not least <= int(value) <= most:
            raise invalid(f"{name} should be a whole number from {least} to {most}.")
        return int(value)

    @property
    def hub(self) -> str:
        """The name that clients connect with: hubs of an application have its name in front."""
        hub, application = self.route.names["hub"], self.parameter("application")
        if application is None or self.route.is_old or self.route.kind is Kind.TOKEN:
            return _checked(hub, "hub", _HUB).lower()
        return f"{_checked(application, 'application', _HUB)}_{_checked(hub, 'hub', _HUB)}".lower()

    @property
    def group(self) -> str | None:
        """The group of the path."""
        name = self.route.names.get("group")
        return None if name is None else _checked(name, "group", _NAME)

    @property
    def audience(self) -> Audience:
        """Whom the path and ``excluded`` mean."""
        names = self.route.names
        return Audience(
            connection_id=_present(names, "connection"),
            user_id=_present(names, "user"),
            group=self.group,
            # To a user or a connection the service sends without exclusions.
            excluded=frozenset(self.query.get("excluded", ())) if self._takes_exclusions else frozenset(),
        )

    @property
    def _takes_exclusions(self) -> bool:
        names, kind = self.route.names, self.route.kind
        return kind is Kind.CLOSE or (kind is Kind.SEND and not {"connection", "user"} & names.keys())


def operation_of(asked: Asked) -> Operation:
    """The operation, checked.

    Raises:
        ServiceError: 400 or 415: why it is refused.
    """
    if not asked.route.is_old and _VERSION.fullmatch(asked.parameter("api-version") or "") is None:
        raise invalid("The query should have an api-version such as 2024-12-01.")
    return _READERS[asked.route.kind](asked)


def _checked(name: str, what: str, pattern: re.Pattern[str]) -> str:
    if pattern.fullmatch(name) is None:
        raise invalid(f"The {what} is invalid.")
    return name


def _present(names: Mapping[str, str], what: str) -> str | None:
    name = names.get(what)
    if name == "":
        raise invalid(f"The {what} is invalid.")
    return name


def _required(asked: Asked, what: str) -> str:
    name = _present(asked.route.names, what)
    assert name is not None  # noqa: S101  its route has one
    return name


def _group(asked: Asked) -> str:
    return _checked(asked.route.names["group"], "group", _NAME)


def _send(asked: Asked) -> Operation:
    return Send(asked.hub, asked.audience, read_payload(asked.content_type, asked.body))


def _close(asked: Asked) -> Operation:
    is_one = asked.route.kind is Kind.CLOSE_ONE
    if "user" in asked.route.names:
        _checked(asked.route.names["user"], "user", _NAME)
    return Close(asked.hub, asked.audience, asked.parameter("reason") or None, must_exist=is_one)


def _join_user(asked: Asked) -> Operation:
    return JoinUser(asked.hub, _group(asked), _required(asked, "user"), asked.number("ttl", 0))


def _members(asked: Asked) -> Operation:
    token = asked.parameter("continuationtoken")
    return ListMembers(
        asked.hub,
        _group(asked),
        path=asked.path,
        api_version=asked.parameter("api-version") or "",
        application=asked.parameter("application"),
        size=asked.number("maxpagesize", 1, _MAX_PAGE) or _MAX_PAGE,
        top=asked.number("top", 1),
        after="" if token is None else token_place(token),
    )


def _token(asked: Asked) -> Operation:
    minutes = asked.number("minutestoexpire", 1) or _TOKEN_MINUTES
    return MakeToken(asked.hub, asked.parameter("userid") or None, minutes)


_READERS: Final[Mapping[Kind, Callable[[Asked], Operation]]] = {
    Kind.HEALTH: lambda asked: Health(),
    Kind.SEND: _send,
    Kind.EXISTS: lambda asked: Exists(asked.hub, asked.audience),
    Kind.USER_IN_GROUP: lambda asked: IsUserInGroup(asked.hub, _required(asked, "user"), _group(asked)),
    Kind.CLOSE: _close,
    Kind.CLOSE_ONE: _close,
    Kind.JOIN: lambda asked: Join(asked.hub, _group(asked), _required(asked, "connection")),
    Kind.LEAVE: lambda asked: Leave(asked.hub, asked.group, _required(asked, "connection")),
    Kind.JOIN_USER: _join_user,
    Kind.LEAVE_USER: lambda asked: LeaveUser(asked.hub, asked.group, _required(asked, "user")),
    Kind.MEMBERS: _members,
    Kind.TOKEN: _token,
}
