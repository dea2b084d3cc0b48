"""Who may connect to which hub. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from streamsink.backends.gateway.negotiate import hub_name
from streamsink.backends.gateway.tokens import AccessTokens, Place
from streamsink.core.errors import ForbiddenError, NotFoundError, UnauthenticatedError, UnavailableError

if TYPE_CHECKING:
    from streamsink.backends.gateway.http import Request
    from streamsink.backends.gateway.hub import Hub

__all__ = ["Admission", "AllowOrigin", "Caller", "same_host"]

AllowOrigin: TypeAlias = Callable[[str, Mapping[str, str]], bool]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and for which hub."""

    hub_name: str
    hub: Hub
    user_id: str | None


def same_host(origin: str, headers: Mapping[str, str]) -> bool:
    """Whether a page of this very host asks: the default for who may."""
    host = headers.get("host", "").lower()
    return bool(host) and origin.partition("://")[2].lower() == host


class Admission:
    """Checks requests.

    Args:
        find_hub: the hub of a valid name, None where there is none.
        access_tokens: verifies what callers show.
        allow_origin: whether pages of this origin may call, given the request's headers in lower case.

    Attributes:
        is_draining: whether everybody is refused.
    """

    def __init__(
        self,
        find_hub: Callable[[str], Hub | None],
        *,
        access_tokens: AccessTokens,
        allow_origin: AllowOrigin = same_host,
    ) -> None:
        self._find_hub = find_hub
        self._access_tokens = access_tokens
        self._allow_origin = allow_origin
        self.is_draining = False

    def check_origin(self, request: Request) -> None:
        """Refuse pages of other sites; what sends no ``Origin`` is no page.

        Raises:
            ForbiddenError: it is one.
        """
        origin = request.headers.get("origin")
        if origin is not None and not self._allow_origin(origin, request.headers):
            raise ForbiddenError("This origin is not allowed.")

    def admit(self, request: Request, *, routes: Collection[str], is_new: bool = True) -> Caller:
        """The caller of one of these routes.

        Args:
            request: what was asked.
            routes: where that may be asked.
            is_new: whether it begins a connection; those that there are may still be ended properly.

        Raises:
            ForbiddenError: another site's page.
            NotFoundError: another route, or no such hub.
            InvalidRequestError: no hub is named, or not well.
            UnavailableError: draining, and it is new.
            UnauthenticatedError, TooLargeError: the token is missing, or not good here.
        """
        self.check_origin(request)
        if request.route not in routes:
            raise NotFoundError("Not Found")
        name = hub_name(request.query.get("hub", ()))
        hub = self._find_hub(name)
        if hub is None:
            raise NotFoundError("There is no such hub.")
        if is_new and (self.is_draining or hub.is_draining):
            raise UnavailableError("The server is going away; try again.")
        return Caller(name, hub, self._identify(request, name))

    def _identify(self, request: Request, hub: str) -> str | None:
        token = request.access_token
        if not token:
            raise UnauthenticatedError
        asked = Place.of_request(request.headers.get("host", ""), f"{request.prefix}/client")
        return self._access_tokens.verify(token, hub=hub, asked=asked)
