"""What Azure SignalR Service's REST API answers, and what each status means. Sans-IO.

A 404 with the expected ``x-ms-error-code`` says that something is not there; one without says that the address is
wrong. The service's own SDK makes the same difference, since replies to HEAD have no body to look into.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, NoReturn, TypeAlias, TypeVar

import msgspec

from streamsink.core.errors import ConnectionGoneError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Fault", "MembersPage", "Operation", "ServiceError", "no_answer", "read_reply"]

Fault: TypeAlias = Literal["request", "credentials", "address", "throttled", "service"]

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

_CODE: Final = re.compile(r"[A-Za-z0-9.]{1,64}")
_DESCRIPTION: Final = re.compile(r'error_description="([ !#-~]{1,200})"')
_QUERY: Final = re.compile(r"[!$-~]{0,8000}")
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_OF_THE_ADDRESS: Final = frozenset({300, 301, 302, 303, 307, 308, 404, 405, 501})
_SAYINGS: Final[Mapping[Fault, str]] = {
    "request": "does not take this request",
    "credentials": "does not accept our credentials",
    "address": "is not at this address: look at the Endpoint or ServerEndpoint of the connection string",
    "throttled": "wants less for now: a rate, or the day's quota of messages or connections, is used up",
    "service": "cannot answer now",
}


class ServiceError(UnavailableError):
    """Azure SignalR Service did not do what it was asked.

    Args:
        message: for whoever operates this; has neither names nor keys.
        fault: whose: that of this one request, or of everything that is asked with these credentials, at this
            address, at this time.
        retry_after_s: how long it asks to be left alone; None: it does not say.
    """

    def __init__(self, message: str, fault: Fault, *, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.fault = fault

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed when it is made again."""
        return self.fault in ("throttled", "service")


class MembersPage(NamedTuple):
    """Some of a group's connections.

    Args:
        connection_ids: theirs.
        next_page: the query of the next page; None: this is the last.
    """

    connection_ids: tuple[str, ...]
    next_page: str | None


@dataclass(frozen=True, slots=True)
class Operation(Generic[_T_co]):
    """A kind of request.

    Args:
        name: for errors.
        read: its value from the body of a success.
        absent_code: the scope and kind of the ``x-ms-error-code`` (``Level.Scope.Kind``) of the 404 which says that
            something is not there.
        absent: its value then.
        needs_token: whether it is authenticated.
    """

    name: str
    read: Callable[[bytes], _T_co]
    absent_code: str = ""
    absent: Callable[[], _T_co] | None = None
    needs_token: bool = True


def read_reply(operation: Operation[_T], status: int, headers: Mapping[str, str], body: bytes) -> _T:
    """What a reply says.

    Args:
        headers: names in any case, if the mapping does not care; in lower case otherwise.

    Raises:
        ServiceError: not what was asked for.
        ConnectionGoneError: a connection that should join is not there.
    """
    if 200 <= status < 300:
        return operation.read(body)
    code = headers.get("x-ms-error-code", "")
    if status == 404 and operation.absent is not None and code.endswith(f".{operation.absent_code}"):
        return operation.absent()
    raise _error(operation, status, headers, code)


def no_answer(operation: Operation[Any], reason: str) -> ServiceError:
    """The error of a request that was not answered: it may have been done."""
    return ServiceError(f"Azure SignalR Service did not answer to {operation.name}: {reason}", "service")


def _error(operation: Operation[Any], status: int, headers: Mapping[str, str], code: str) -> ServiceError:
    fault = _fault(status)
    details = [f"{operation.name}: {status}"]
    if _CODE.fullmatch(code):
        details.append(code)
    if (said := _DESCRIPTION.search(headers.get("www-authenticate", ""))) is not None:
        details.append(said[1])
    if status == 403:
        details.append("the identity needs the role SignalR REST API Owner or SignalR Service Owner")
    message = f"Azure SignalR Service {_SAYINGS[fault]} ({', '.join(details)})"
    return ServiceError(message, fault, retry_after_s=_retry_after_s(headers))


def _fault(status: int) -> Fault:
    if status in (401, 403):
        return "credentials"
    if status in _OF_THE_ADDRESS:
        return "address"
    if status == 429:
        return "throttled"
    return "service" if status == 408 or status >= 500 else "request"


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """RFC 9110 §10.2.3: seconds, or a date, which is compared with the reply's own."""
    text = headers.get("retry-after", "")
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, wait.total_seconds())


def _nothing(body: bytes) -> None:
    """Successes may have a body, which nobody needs."""


def _yes(body: bytes) -> bool:
    return True


def _no() -> bool:
    return False


def _ignore() -> None:
    return None


def _gone() -> NoReturn:
    raise ConnectionGoneError("there is no such connection, or no longer")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict):
        raise ServiceError("Azure SignalR Service answered with something that is not JSON", "service")
    return found


def _token(body: bytes) -> str:
    token = _object(body).get("token")
    if not isinstance(token, str) or not token:
        raise ServiceError("Azure SignalR Service answered without a token", "service")
    return token


def _members(body: bytes) -> MembersPage:
    """Of the link to the next page only the query counts: its host could be somebody else, who would get our token."""
    page = _object(body)
    ids = [each.get("connectionId") for each in page.get("value") or () if isinstance(each, dict)]
    link = page.get("nextLink")
    query = link.partition("?")[2].partition("#")[0] if isinstance(link, str) else ""
    if not _QUERY.fullmatch(query):
        raise ServiceError("Azure SignalR Service answered with a link that is none", "service")
    return MembersPage(tuple(each for each in ids if isinstance(each, str)), query or None)


HEALTH: Final = Operation("health", _nothing, needs_token=False)
SEND: Final = Operation("send", _nothing)
CONNECTION_EXISTS: Final = Operation("connection exists", _yes, "Connection.NotExisted", _no)
USER_EXISTS: Final = Operation("user exists", _yes, "User.NotExisted", _no)
GROUP_EXISTS: Final = Operation("group exists", _yes, "Group.NotExisted", _no)
USER_IN_GROUP: Final = Operation("user in group", _yes, "User.NotInGroup", _no)
CLOSE_CONNECTION: Final = Operation("close connection", _yes, "Connection.NotExisted", _no)
CLOSE: Final = Operation("close connections", _nothing)
ADD_CONNECTION: Final = Operation("join", _nothing, "Connection.NotExisted", _gone)
REMOVE_CONNECTION: Final = Operation("leave", _nothing, "Connection.NotExisted", _ignore)
ADD_USER: Final = Operation("user joins", _nothing)
REMOVE_USER: Final = Operation("user leaves", _nothing, "User.NotInGroup", _ignore)
GENERATE_TOKEN: Final = Operation("generate token", _token)
MEMBERS: Final = Operation("members", _members, "Group.NotExisted", lambda: MembersPage((), None))
