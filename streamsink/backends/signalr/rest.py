"""Azure SignalR Service's data-plane REST API, version 2024-12-01, as values: what is asked. Sans-IO.

Source: the service's published reference of that version; ``replies`` has what is answered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from streamsink.backends.signalr import replies
from streamsink.core.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamsink.backends.signalr.replies import MembersPage, Operation

__all__ = ["API_VERSION", "HUB_NAME", "HubApi", "Request", "message"]

API_VERSION: Final = "2024-12-01"
HUB_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_`,.[\]]{0,127}")

_NAME: Final = re.compile(r"(?!\s+\Z)(?!\.{1,2}\Z).{1,1024}")
_MAX_PAGE: Final = 200
_JSON: Final = {"content-type": "application/json"}
_T_co = TypeVar("_T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Request(Generic[_T_co]):
    """One request, without its token.

    Args:
        operation: what it does, and how its reply is read.
        method: in capitals.
        url: absolute, and escaped as it has to be sent.
        content: the body; None: none.
    """

    operation: Operation[_T_co]
    method: str
    url: str
    content: bytes | None = None

    @property
    def audience(self) -> str:
        """What its token is for: the URL as sent, without the query."""
        return self.url.partition("?")[0]

    @property
    def headers(self) -> dict[str, str]:
        """Its headers, other than the token."""
        return {} if self.content is None else dict(_JSON)


def message(target: str, *arguments: bytes) -> bytes:
    """The body of a send.

    Args:
        arguments: JSON, taken as it is.
    """
    return b'{"target":%b,"arguments":[%b]}' % (msgspec.json.encode(target), b",".join(arguments))


class HubApi:
    """The calls for one hub.

    Names of groups and users have 1 to 1024 characters, are case-sensitive and may be anything but white space, a
    line feed, ``.`` or ``..`` (which no escaping keeps out of a path); otherwise InvalidRequestError is raised.

    Args:
        base_url: of the service, without a slash at its end.
        hub: in any case; the service has it in lower case.

    Raises:
        InvalidRequestError: not a hub name.
    """

    def __init__(self, base_url: str, hub: str) -> None:
        if not HUB_NAME.fullmatch(hub):
            raise InvalidRequestError("not a hub name: a letter, then up to 127 letters, digits and _`,.[]")
        self.hub: str = hub.lower()
        self._base_url = base_url
        self._hub_url = f"{base_url}/api/hubs/{quote(self.hub, safe='')}"

    def health(self) -> Request[None]:
        """Whether the service is there; needs no token."""
        return Request(replies.HEALTH, "HEAD", f"{self._base_url}/api/health?api-version={API_VERSION}")

    def send_to_all(self, content: bytes, *, excluded: Iterable[str] = ()) -> Request[None]:
        """Send a ``message`` to every connection."""
        return self._ask(replies.SEND, "POST", ":send", content=content, excluded=excluded)

    def send_to_group(self, group: str, content: bytes, *, excluded: Iterable[str] = ()) -> Request[None]:
        """Send a ``message`` to a group's connections; none is no error."""
        return self._ask(replies.SEND, "POST", "groups", group, ":send", content=content, excluded=excluded)

    def send_to_user(self, user: str, content: bytes) -> Request[None]:
        """Send a ``message`` to a user's connections; none is no error."""
        return self._ask(replies.SEND, "POST", "users", user, ":send", content=content)

    def send_to_connection(self, connection_id: str, content: bytes) -> Request[None]:
        """Send a ``message`` to a connection; one that is gone is no error."""
        return self._ask(replies.SEND, "POST", "connections", connection_id, ":send", content=content)

    def connection_exists(self, connection_id: str) -> Request[bool]:
        """Whether a connection is there."""
        return self._ask(replies.CONNECTION_EXISTS, "HEAD", "connections", connection_id)

    def user_exists(self, user: str) -> Request[bool]:
        """Whether a user has a connection."""
        return self._ask(replies.USER_EXISTS, "HEAD", "users", user)

    def group_exists(self, group: str) -> Request[bool]:
        """Whether a group has a connection."""
        return self._ask(replies.GROUP_EXISTS, "HEAD", "groups", group)

    def close_connection(self, connection_id: str, *, reason: str = "") -> Request[bool]:
        """Close a connection; False: there is none."""
        return self._ask(replies.CLOSE_CONNECTION, "DELETE", "connections", connection_id, reason=reason)

    def close_all(self, *, excluded: Iterable[str] = (), reason: str = "") -> Request[None]:
        """Close every connection."""
        return self._ask(replies.CLOSE, "POST", ":closeConnections", excluded=excluded, reason=reason)

    def close_group(self, group: str, *, excluded: Iterable[str] = (), reason: str = "") -> Request[None]:
        """Close a group's connections."""
        return self._ask(replies.CLOSE, "POST", "groups", group, ":closeConnections", excluded=excluded, reason=reason)

    def close_user(self, user: str, *, excluded: Iterable[str] = (), reason: str = "") -> Request[None]:
        """Close a user's connections."""
        return self._ask(replies.CLOSE, "POST", "users", user, ":closeConnections", excluded=excluded, reason=reason)

    def add_connection(self, group: str, connection_id: str) -> Request[None]:
        """Add a connection to a group, until it ends. Its reply raises ConnectionGoneError where there is none."""
        return self._ask(replies.ADD_CONNECTION, "PUT", "groups", group, "connections", connection_id)

    def remove_connection(self, group: str, connection_id: str) -> Request[None]:
        """Remove a connection from a group; one that is not there is no error."""
        return self._ask(replies.REMOVE_CONNECTION, "DELETE", "groups", group, "connections", connection_id)

    def remove_connection_from_all(self, connection_id: str) -> Request[None]:
        """Remove a connection from all its groups."""
        return self._ask(replies.REMOVE_CONNECTION, "DELETE", "connections", connection_id, "groups")

    def user_in_group(self, group: str, user: str) -> Request[bool]:
        """Whether a user is in a group."""
        return self._ask(replies.USER_IN_GROUP, "HEAD", "users", user, "groups", group)

    def add_user(self, group: str, user: str, *, ttl_s: int | None = None) -> Request[None]:
        """Add a user's connections, present and future, to a group.

        Args:
            ttl_s: for so many seconds; 0: the present connections only; None: up to a year, the latest 100 groups.
        """
        if ttl_s is not None and ttl_s < 0:
            raise InvalidRequestError("a membership lasts 0 seconds or more")
        ttl = "" if ttl_s is None else str(ttl_s)
        return self._ask(replies.ADD_USER, "PUT", "users", user, "groups", group, ttl=ttl)

    def remove_user(self, group: str, user: str) -> Request[None]:
        """Remove a user from a group; who is not there is no error."""
        return self._ask(replies.REMOVE_USER, "DELETE", "users", user, "groups", group)

    def remove_user_from_all(self, user: str) -> Request[None]:
        """Remove a user from all groups."""
        return self._ask(replies.REMOVE_USER, "DELETE", "users", user, "groups")

    def generate_token(self, user_id: str, *, minutes: int) -> Request[str]:
        """A client's access token, made by the service: for callers without an access key."""
        return self._ask(replies.GENERATE_TOKEN, "POST", ":generateToken", userId=user_id, minutesToExpire=str(minutes))

    def members(self, group: str, *, page: str | None = None, page_size: int = _MAX_PAGE) -> Request[MembersPage]:
        """A page of a group's connections.

        Args:
            page: the ``next_page`` of the page before; None: the first.
            page_size: 1 to 200.
        """
        first = self._ask(replies.MEMBERS, "GET", "groups", group, "connections", maxpagesize=str(page_size))
        return first if page is None else replace(first, url=f"{first.audience}?{page}")

    def _ask(
        self,
        operation: Operation[_T_co],
        method: str,
        *path: str,
        content: bytes | None = None,
        excluded: Iterable[str] = (),
        **query: str,
    ) -> Request[_T_co]:
        pairs = [("api-version", API_VERSION), *(("excluded", each) for each in excluded)]
        pairs += [(name, value) for name, value in query.items() if value]
        url = "/".join((self._hub_url, *map(_segment, path)))
        return Request(operation, method, f"{url}?{urlencode(pairs, quote_via=quote, safe='')}", content)


def _segment(text: str) -> str:
    if text in (":send", ":closeConnections", ":generateToken"):
        return text
    if not _NAME.fullmatch(text):
        raise InvalidRequestError("a name for Azure SignalR Service has 1 to 1024 characters, not only white space")
    return quote(text, safe="")
