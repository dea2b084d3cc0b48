"""The gateway as a plain ASGI application: negotiate over HTTP, then one of three transports."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from streamsink.backends.gateway.connection import Connection, Limits
from streamsink.backends.gateway.http import Reply, Request, Scope, preflight, refusal, with_cors
from streamsink.backends.gateway.http_transports import CHANGED, METHODS, HttpTransports
from streamsink.backends.gateway.negotiate import (
    EVERY_TRANSPORT,
    WEB_SOCKETS,
    TransportOffer,
    negotiate_error,
    negotiate_reply,
)
from streamsink.backends.gateway.session import Receive, Session
from streamsink.backends.gateway.sessions import Sessions
from streamsink.backends.gateway.websocket import WebSocketSession
from streamsink.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    StreamSinkError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from streamsink.backends.gateway.admission import Admission, Caller
    from streamsink.backends.gateway.connection_tokens import ConnectionTokens
    from streamsink.backends.gateway.outbox import Send

__all__ = ["GatewayApp"]

_S = TypeVar("_S", bound=Session)

_NEGOTIATE: Final = "/client/negotiate"
_CONNECT: Final = ("/client", "/client/")


class GatewayApp:
    """Serves ``/client/negotiate`` and ``/client`` below its mount, or mounted at ``/client`` itself.

    It has no lifespan: one task runs while there are connections; :meth:`aclose` ends them.

    Args:
        admission: who may connect to what.
        connection_tokens: the negotiated connections.
        transports: offered, in order of preference.
        limits: of a connection.
        max_buffered_bytes: unsent, per connection.
        close_s: for a client to take a connection's end.
        clock: seconds, never going back.
        sleep: between two looks at the clock.
    """

    def __init__(
        self,
        admission: Admission,
        *,
        connection_tokens: ConnectionTokens,
        transports: Sequence[TransportOffer] = EVERY_TRANSPORT,
        limits: Limits | None = None,
        max_buffered_bytes: int = 1_048_576,
        close_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._admission = admission
        self._tokens = connection_tokens
        self._transports = tuple(transports)
        self._limits = limits or Limits()
        self._max_buffered_bytes = max_buffered_bytes
        self._close_s = close_s
        self._clock = clock
        self._sessions = Sessions(clock=clock, sleep=sleep)
        self._http = HttpTransports(
            connection_tokens,
            sessions=self._sessions,
            make=self._session,
            transports=self._transports,
            max_body_bytes=self._limits.max_body_bytes,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        request = Request.of(scope)
        if not request.is_upgrade:
            await (await self._answer(request, receive)).send(send)
            return
        try:
            caller = self._admission.admit(request, routes=_CONNECT)
            token, connection_id = await self.claim(request, caller)
        except StreamSinkError as error:
            await refusal(error).deny(scope, receive, send)
            await asyncio.sleep(0)  # uvicorn logs an error unless the connection, which it has closed, ends first
            return
        try:
            await self._serve(self._session(WebSocketSession, caller, connection_id), receive, send)
        finally:
            await self._tokens.release(token)

    def tick(self) -> None:
        """Send the pings and end the connections that are due."""
        self._sessions.tick()

    def drain(self) -> None:
        """Ask every client to reconnect, and refuse new ones."""
        self._admission.is_draining = True
        self._sessions.drain()

    async def aclose(self) -> None:
        """Drain, and wait until every connection is over: at most ``close_s``."""
        self.drain()
        await self._sessions.idle()

    async def _answer(self, request: Request, receive: Receive) -> Reply:
        try:
            self._admission.check_origin(request)
        except ForbiddenError as error:
            return refusal(error)
        try:
            reply = preflight(request) if request.method == "OPTIONS" else await self._route(request, receive)
        except StreamSinkError as error:
            reply = refusal(error)
        return with_cors(reply, request)

    async def _route(self, request: Request, receive: Receive) -> Reply:
        if request.route == _NEGOTIATE:
            return await self._negotiate(request)
        if request.route in _CONNECT:
            return await self._other_transport(request, receive)
        raise NotFoundError("Not Found")

    async def _negotiate(self, request: Request) -> Reply:
        if request.method != "POST":
            return Reply(405, headers={"allow": "POST, OPTIONS"})
        caller = self._admission.admit(request, routes=(_NEGOTIATE,))
        version = request.parameter("negotiateversion")
        error = negotiate_error(version)
        if error is not None:
            return Reply.json({"error": error})
        is_secret = int(version or 0) > 0
        issued = await self._tokens.issue(hub=caller.hub_name, user_id=caller.user_id, is_secret=is_secret)
        token = issued.token if is_secret else None
        return Reply.json(negotiate_reply(issued.connection_id, token, self._transports))

    async def _other_transport(self, request: Request, receive: Receive) -> Reply:
        if request.method not in METHODS:
            return Reply(405, headers={"allow": ", ".join((*METHODS, "OPTIONS"))})
        # Who is connected may still poll, and be told to go elsewhere, while the gateway drains.
        is_new = request.parameter("id") not in self._http
        caller = self._admission.admit(request, routes=_CONNECT, is_new=is_new)
        return await self._http.answer(request, caller, receive)

    async def claim(self, request: Request, caller: Caller) -> tuple[str, str]:
        """Use the connection token of an upgrade; returns it and its id, new ones if there was no negotiate.

        Raises:
            NotFoundError, ConflictError, UnavailableError: see :meth:`ConnectionTokens.claim`.
        """
        hub, user_id, token = caller.hub_name, caller.user_id, request.parameter("id")
        if WEB_SOCKETS not in self._transports:
            raise NotFoundError("The transport is not offered")
        if token is None:
            token = (await self._tokens.issue(hub=hub, user_id=user_id, is_secret=True)).token
        try:
            return token, await self._tokens.claim(token, hub=hub, user_id=user_id)
        except ConflictError:
            if token in self._http:
                raise InvalidRequestError(CHANGED) from None
            raise

    def _session(self, kind: type[_S], caller: Caller, connection_id: str) -> _S:
        return kind(
            Connection(now=self._clock(), limits=self._limits, transport=kind.transport),
            hub=caller.hub,
            connection_id=connection_id,
            user_id=caller.user_id,
            clock=self._clock,
            max_buffered_bytes=self._max_buffered_bytes,
            close_s=self._close_s,
        )

    async def _serve(self, session: WebSocketSession, receive: Receive, send: Send) -> None:
        async with self._sessions.holding(session):
            await receive()  # websocket.connect
            await send({"type": "websocket.accept"})
            await session.run(receive, send)
