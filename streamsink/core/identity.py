"""Who is calling, and the two functions that decide what they may do.

A host asks ``identify`` for every call and ``authorize`` for every thread that the call names. Both may be plain
functions or coroutines, and both may be the user's own.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, TypeVar

__all__ = ["Action", "Authorize", "Identify", "Request", "User", "resolve"]

Action: TypeAlias = Literal["join", "leave", "run", "cancel", "approve", "read", "delete"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request without its body, the same on every host.

    Args:
        method: in capitals.
        path: decoded, without the prefix that the API is mounted under.
        query: the last value of each name.
        headers: names in lower case; repeated ones joined with ``", "``.
        cookies: by name.
        native: the host's own request object, for functions that know their host.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    native: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who calls.

    Args:
        subject: who, unique within ``issuer``; never shown to clients.
        issuer: who says so, for example ``anonymous`` or a token's ``iss``.
        is_service: a back office: may act on every thread.
        tickets: threads that somebody shared with this caller, and what they may do there.
        response_headers: to be sent with the answer (a fresh anonymous cookie).
    """

    subject: str
    issuer: str = "local"
    is_service: bool = False
    tickets: Mapping[str, frozenset[Action]] = field(default_factory=dict)
    response_headers: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """The opaque name that tokens, thread ids and connections carry: 22 URL-safe characters."""
        digest = hashlib.sha256(f"{len(self.issuer)}:{self.issuer}:{self.subject}".encode()).digest()
        return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()

    def with_ticket(self, thread: str, actions: frozenset[Action]) -> User:
        """The same user, also allowed ``actions`` on ``thread``."""
        return replace(self, tickets={**self.tickets, thread: actions | self.tickets.get(thread, frozenset())})


Identify: TypeAlias = Callable[[Request], User | Awaitable[User | None] | None]
Authorize: TypeAlias = Callable[[User, str, Action], bool | Awaitable[bool]]


async def resolve(value: _T | Awaitable[_T]) -> _T:
    """What a function that may be sync or async has answered."""
    if inspect.isawaitable(value):
        return await value
    return value
