"""Asks the service for ``streamsink doctor``: once, and with everything that it answers in view."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final, TypeVar

import httpx

from streamsink.backends.signalr.connection_string import AccessKey
from streamsink.backends.signalr.factory import credentials_of
from streamsink.backends.signalr.replies import no_answer, read_reply
from streamsink.backends.signalr.rest import HubApi
from streamsink.backends.signalr.tokens import KeyRing, client_audience

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from streamsink.backends.signalr.rest import Request
    from streamsink.backends.signalr.settings import SignalRSettings

__all__ = ["Probe"]

_T = TypeVar("_T")
_LIFETIME_S: Final = 3_600  # of the tokens that a KeyRing makes for REST calls
_CLIENT_S: Final = 300


class Probe:
    """One service, asked without retries.

    Args:
        own: the backend's settings.
        clock: seconds since 1970.

    Attributes:
        times: how long each answer took, in seconds.

    Raises:
        SettingsError, MissingExtraError: as the backend itself.
    """

    def __init__(self, own: SignalRSettings, *, clock: Callable[[], float] = time.time) -> None:
        self.own = own
        self.clock = clock
        self.service = own.service
        self.api = HubApi(self.service.server_endpoint, own.hub_name)
        self.credentials = credentials_of(own, self.service, clock)
        self.times: list[float] = []
        self._http = httpx.AsyncClient(timeout=own.timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._http.aclose()

    async def ask(self, request: Request[_T]) -> _T:
        """What the service answers.

        Raises:
            ServiceError: it did not do it.
            ConnectionGoneError: the connection that the request names is not there.
        """
        reply = await self.reply(request)
        return read_reply(request.operation, reply.status_code, reply.headers, reply.content)

    async def reply(self, request: Request[_T], token: str | None = None) -> httpx.Response:
        """The whole reply, whatever it says.

        Args:
            token: None: one of the configured credentials.

        Raises:
            ServiceError: there is no reply, or no token to be had.
        """
        headers = request.headers
        if request.operation.needs_token:
            headers["authorization"] = f"Bearer {token or await self.credentials.rest_token(request.audience)}"
        began = time.monotonic()
        try:
            reply = await self._http.request(request.method, request.url, headers=headers, content=request.content)
        except httpx.RequestError as error:
            raise no_answer(request.operation, type(error).__name__) from error
        self.times.append(time.monotonic() - began)
        return reply

    @property
    def keys(self) -> list[bytes]:
        """The access keys; none with Entra ID."""
        given = (self.service, self.own.second_connection_string)
        return [each.credential.value for each in given if each and isinstance(each.credential, AccessKey)]

    def token_with(self, key: bytes, request: Request[_T], *, made_s_ago: float = 0.0) -> str:
        """A token of that key; as it would have been made some time ago."""
        return KeyRing([key], clock=lambda: self.clock() - made_s_ago).rest_token(request.audience)

    def ended_token(self, key: bytes, request: Request[_T], *, ended_s_ago: float) -> str:
        """A token whose time was over so long ago."""
        return self.token_with(key, request, made_s_ago=_LIFETIME_S + ended_s_ago)

    def wrong_token(self, request: Request[_T]) -> str:
        """A token of a key that the service does not have."""
        return self.token_with(secrets.token_bytes(48), request)

    async def client_token(self, user_id: str) -> str:
        """A client's token, from where the backend has them.

        Raises:
            ServiceError: the service makes none.
        """
        audience = client_audience(self.service.endpoint, self.api.hub)
        token = self.credentials.client_token(audience, user_id, lifetime_s=_CLIENT_S)
        if token is not None:
            return token
        return await self.ask(self.api.generate_token(user_id, minutes=_CLIENT_S // 60))
