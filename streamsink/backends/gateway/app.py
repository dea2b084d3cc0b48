"""The gateway as a plain ASGI application: negotiate over HTTP, then WebSockets."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from streamsink.backends.gateway.connection import Connection, Limits
from streamsink.backends.gateway.connection_tokens import UNKNOWN, ConnectionTokens
from streamsink.backends.gateway.http import Reply, Request, Scope, preflight, refusal, with_cors
from streamsink.backends.gateway.negotiate import (
    WEB_SOCKETS,
    TransportOffer,
    negotiate_error,
    negotiate_reply,
)
from streamsink.backends.gateway.ticker import Ticker
from streamsink.backends.gateway.websocket import Receive, WebSocketSession
from streamsink.core.errors import ForbiddenError, InvalidRequestError, NotFoundError, StreamSinkError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from streamsink.backends.gateway.admission import Admission, Caller
    from streamsink.backends.gateway.outbox import Send

__all__ = ["GatewayApp"]

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
        transports: Sequence[TransportOffer] = (WEB_SOCKETS,),
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
        self._last_tick = clock()
        self._ticker = Ticker(self.tick, sleep=sleep)
        self._sessions: set[WebSocketSession] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        request = Request.of(scope)
        if not request.is_upgrade:
            await (await self._answer(request)).send(send)
            return
        try:
            caller = self._admission.admit(request, routes=_CONNECT)
            token, connection_id = await self.claim(request, caller)
        except StreamSinkError as error:
            await refusal(error).deny(scope, receive, send)
            return
        try:
            await self._serve(self._session(caller, connection_id), receive, send)
        finally:
            await self._tokens.release(token)

    def tick(self) -> None:
        """Send the pings and end the connections that are due."""
        now, previous = self._clock(), self._last_tick
        self._last_tick = now
        for session in tuple(self._sessions):
            session.tick(now, previous)

    def drain(self) -> None:
        """Ask every client to reconnect, and refuse new ones."""
        self._admission.is_draining = True
        for session in tuple(self._sessions):
            session.close(allow_reconnect=True)

    async def aclose(self) -> None:
        """Drain, and wait until every connection is over: at most ``close_s``."""
        self.drain()
        await self._is_idle.wait()

    async def _answer(self, request: Request) -> Reply:
        try:
            self._admission.check_origin(request)
        except ForbiddenError as error:
            return refusal(error)
        try:
            reply = preflight(request) if request.method == "OPTIONS" else await self._route(request)
        except StreamSinkError as error:
            reply = refusal(error)
        return with_cors(reply, request)

    async def _route(self, request: Request) -> Reply:
        if request.route == _NEGOTIATE:
            return await self._negotiate(request)
        if request.route in _CONNECT:
            return await self._other_transport(request)
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

    async def _other_transport(self, request: Request) -> Reply:
        """Refuse what asks for anything but a WebSocket, as a server refuses transports it does not offer."""
        if request.method not in ("GET", "POST", "DELETE"):
            return Reply(405, headers={"allow": "GET, POST, DELETE, OPTIONS"})
        caller = self._admission.admit(request, routes=_CONNECT)
        token = request.parameter("id")
        if not token:
            raise InvalidRequestError("Connection ID required")
        if await self._tokens.state(token, hub=caller.hub_name, user_id=caller.user_id) != "connected":
            raise NotFoundError(UNKNOWN)
        if request.method == "POST":
            return Reply(405, b"POST requests are not allowed for WebSocket connections.")
        raise InvalidRequestError("Cannot change transports mid-connection")

    async def claim(self, request: Request, caller: Caller) -> tuple[str, str]:
        """Use the connection token of an upgrade; returns it and its id, new ones if there was no negotiate.

        Raises:
            NotFoundError, ConflictError, UnavailableError: see :meth:`ConnectionTokens.claim`.
        """
        hub, user_id, token = caller.hub_name, caller.user_id, request.parameter("id")
        if token is None:
            token = (await self._tokens.issue(hub=hub, user_id=user_id, is_secret=True)).token
        return token, await self._tokens.claim(token, hub=hub, user_id=user_id)

    def _session(self, caller: Caller, connection_id: str) -> WebSocketSession:
        return WebSocketSession(
            Connection(now=self._clock(), limits=self._limits),
            hub=caller.hub,
            connection_id=connection_id,
            user_id=caller.user_id,
            clock=self._clock,
            max_buffered_bytes=self._max_buffered_bytes,
            close_s=self._close_s,
        )

    async def _serve(self, session: WebSocketSession, receive: Receive, send: Send) -> None:
        self._sessions.add(session)
        self._is_idle.clear()
        self._ticker.start()
        try:
            await receive()  # websocket.connect
            await send({"type": "websocket.accept"})
            await session.run(receive, send)
        finally:
            self._sessions.discard(session)
            if not self._sessions:
                self._is_idle.set()
                await self._ticker.stop()
