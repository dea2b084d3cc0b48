"""What the operations do to hubs, and what is answered. Sans-IO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from streamsink.backends.gateway.audience import Audience
from streamsink.backends.signalr.twin import operations as op
from streamsink.backends.signalr.twin.payload import next_token
from streamsink.backends.signalr.twin.problems import (
    NO_CONNECTION,
    NO_CONNECTION_TO_GROUP,
    NO_GROUP,
    NO_USER,
    NO_USER_IN_GROUP,
    ServiceError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streamsink.backends.signalr.twin.hubs import Hubs

__all__ = ["DataPlane"]


class DataPlane:
    """Performs operations.

    Args:
        hubs: on these.
        mint: a client token for a hub, a user (None: anonymous) and a life in seconds.
        endpoint: the service's URL, for links.
        close_reconnects: whether clients that are closed are told that they may come back. Microsoft's emulator says
            so; what Azure says is not documented.
    """

    def __init__(
        self,
        hubs: Hubs,
        *,
        mint: Callable[[str, str | None, int], str],
        endpoint: str,
        close_reconnects: bool = True,
    ) -> None:
        self._hubs = hubs
        self._mint = mint
        self._endpoint = endpoint
        self._close_reconnects = close_reconnects
        self._performers: Final[Mapping[type, Callable[[Any], dict[str, Any] | None]]] = {
            op.Health: lambda _: None,
            op.Send: self._send,
            op.Exists: self._exists,
            op.IsUserInGroup: self._is_user_in_group,
            op.Close: self._close,
            op.Join: self._join,
            op.Leave: self._leave,
            op.JoinUser: self._join_user,
            op.LeaveUser: self._leave_user,
            op.ListMembers: self._list,
            op.MakeToken: self._token,
        }

    def perform(self, operation: op.Operation) -> dict[str, Any] | None:
        """Do it; returns the JSON of the answer, None: an empty one.

        Raises:
            ServiceError: the answer is "no".
        """
        return self._performers[type(operation)](operation)

    def _send(self, asked: op.Send) -> None:
        self._hubs.get(asked.hub).send(asked.call, asked.to)

    def _exists(self, asked: op.Exists) -> None:
        if not self._hubs.get(asked.hub).reaches(asked.who):
            raise _missing(asked.who)

    def _is_user_in_group(self, asked: op.IsUserInGroup) -> None:
        if not self._hubs.get(asked.hub).has_user(asked.group, asked.user_id):
            raise ServiceError(404, NO_USER_IN_GROUP, "The user is not in the group.")

    def _close(self, asked: op.Close) -> None:
        hub = self._hubs.get(asked.hub)
        closed = hub.close_all(asked.of, asked.reason, allow_reconnect=self._close_reconnects)
        if not closed and asked.must_exist:
            raise _missing(asked.of)

    def _join(self, asked: op.Join) -> None:
        self._check_connection(asked)
        self._hubs.get(asked.hub).join(asked.group, asked.connection_id)

    def _leave(self, asked: op.Leave) -> None:
        hub = self._hubs.get(asked.hub)
        if asked.group is None:
            hub.leave_all(asked.connection_id)
        else:
            self._check_connection(asked)
            hub.leave(asked.group, asked.connection_id)

    def _check_connection(self, asked: op.Join | op.Leave) -> None:
        if asked.connection_id not in self._hubs.get(asked.hub):
            raise ServiceError(404, NO_CONNECTION_TO_GROUP, "There is no such connection.")

    def _join_user(self, asked: op.JoinUser) -> None:
        self._hubs.get(asked.hub).join_user(asked.group, asked.user_id, asked.ttl_s)

    def _leave_user(self, asked: op.LeaveUser) -> None:
        self._hubs.get(asked.hub).leave_user(asked.group, asked.user_id)

    def _list(self, asked: op.ListMembers) -> dict[str, Any]:
        # By id, so that who comes and goes between two pages moves nobody else from one to the other.
        members = sorted(
            self._hubs.get(asked.hub).clients(Audience(group=asked.group)), key=lambda one: one.connection_id
        )
        waiting = [member for member in members if member.connection_id > asked.after]
        page = waiting[: min(asked.size, asked.top or asked.size)]
        answer: dict[str, Any] = {
            "value": [
                {"connectionId": each.connection_id, **({"userId": each.user_id} if each.user_id is not None else {})}
                for each in page
            ]
        }
        if len(waiting) > len(page) and asked.top != len(page):
            answer["nextLink"] = self._next_link(asked, page[-1].connection_id, len(page))
        return answer

    def _next_link(self, asked: op.ListMembers, last: str, given: int) -> str:
        query: dict[str, Any] = {"api-version": asked.api_version, "maxpagesize": asked.size}
        if asked.top is not None:
            query["top"] = asked.top - given
        if asked.application is not None:
            query["application"] = asked.application
        return f"{self._endpoint}{asked.path}?{urlencode({**query, 'continuationToken': next_token(last)})}"

    def _token(self, asked: op.MakeToken) -> dict[str, Any]:
        return {"token": self._mint(asked.hub, asked.user_id, asked.minutes * 60)}


def _missing(who: Audience) -> ServiceError:
    if who.connection_id is not None:
        return ServiceError(404, NO_CONNECTION, "There is no such connection.")
    if who.user_id is not None:
        return ServiceError(404, NO_USER, "The user is not connected.")
    return ServiceError(404, NO_GROUP, "The group has no members.")
