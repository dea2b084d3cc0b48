"""The transports that are not WebSockets: which request is for which connection, and what it may do there.

Source: aspnetcore docs/specs/TransportProtocols.md; statuses of ASP.NET Core's dispatcher.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from streamsink.backends.gateway.connection import BROKEN
from streamsink.backends.gateway.connection_tokens import UNKNOWN, ConnectionTokens
from streamsink.backends.gateway.event_stream import FIRST_BYTES, HEADERS, EventStreamSession
from streamsink.backends.gateway.http import Reply, Request, StreamReply, read_body
from streamsink.backends.gateway.long_polling import NOTHING, LongPollingSession
from streamsink.backends.gateway.session import Receive, Session
from streamsink.core.errors import ConflictError, InvalidRequestError, NotFoundError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.backends.gateway.admission import Caller
    from streamsink.backends.gateway.negotiate import TransportOffer
    from streamsink.backends.gateway.outbox import Send
    from streamsink.backends.gateway.sessions import Sessions

__all__ = ["CHANGED", "HttpTransports"]

_S = TypeVar("_S", bound=Session)
CHANGED: Final = "Cannot change transports mid-connection"
METHODS: Final = ("GET", "POST", "DELETE")


class MakeSession(Protocol):
    """Makes sessions."""

    def __call__(self, kind: type[_S], caller: Caller, connection_id: str) -> _S:
        """A session of that kind."""
        ...


class HttpTransports:
    """Server-Sent Events and long polling.

    Args:
        connection_tokens: the negotiated connections.
        sessions: where the open ones are held.
        make: a session of a kind, for a caller and a connection id.
        transports: those on offer.
        max_body_bytes: of one POST.
    """

    def __init__(
        self,
        connection_tokens: ConnectionTokens,
        *,
        sessions: Sessions,
        make: MakeSession,
        transports: Sequence[TransportOffer],
        max_body_bytes: int,
    ) -> None:
        self._tokens = connection_tokens
        self._sessions = sessions
        self._make = make
        self._transports = transports
        self._max_body_bytes = max_body_bytes
        self._open: dict[str, Session] = {}
        self._lives: set[asyncio.Task[None]] = set()

    def __contains__(self, token: object) -> bool:
        """Whether a connection token is in use here."""
        return token in self._open

    async def answer(self, request: Request, caller: Caller, receive: Receive) -> Reply:
        """The answer to what is no WebSocket.

        Raises:
            InvalidRequestError: no id, or the connection is on another transport.
            NotFoundError: there is no such connection of this caller, or no such transport.
            ConflictError: the connection's stream is open.
        """
        token = request.parameter("id")
        if not token:
            raise InvalidRequestError("Connection ID required")
        state = await self._tokens.state(token, hub=caller.hub_name, user_id=caller.user_id)
        if state == "unknown" or (state == "waiting" and request.method != "GET"):
            raise NotFoundError(UNKNOWN)
        if request.method == "POST":
            return await self._take_in(token, receive)
        if request.method == "DELETE":
            return await self._delete(token)
        if "text/event-stream" in request.headers.get("accept", ""):
            return await self._stream(token, caller, receive)
        return await self._poll(token, caller, receive)

    async def _take_in(self, token: str, receive: Receive) -> Reply:
        session = self._open.get(token)
        if session is None:
            return Reply(405, b"POST requests are not allowed for WebSocket connections.")
        try:
            body = await read_body(receive, self._max_body_bytes)
        except TooLargeError:
            session.close(BROKEN, allow_reconnect=True)
            raise
        session.take_in(body)
        return Reply(200)

    async def _delete(self, token: str) -> Reply:
        session = self._open.get(token)
        if not isinstance(session, LongPollingSession):
            raise InvalidRequestError("Cannot terminate this connection using the DELETE endpoint.")
        session.end()
        await self._forget(token)
        return Reply(202)

    async def _stream(self, token: str, caller: Caller, receive: Receive) -> Reply:
        if isinstance(self._open.get(token), EventStreamSession):
            raise ConflictError("The connection is already in use")
        session = await self._begin(EventStreamSession, token, caller)
        return StreamReply(200, FIRST_BYTES, HEADERS, stream=partial(self._serve_stream, token, session, receive))

    async def _serve_stream(self, token: str, session: EventStreamSession, receive: Receive, send: Send) -> None:
        try:
            async with self._sessions.holding(session):
                await session.run(receive, send)
        finally:
            await self._forget(token)

    async def _poll(self, token: str, caller: Caller, receive: Receive) -> Reply:
        session = self._open.get(token)
        if isinstance(session, LongPollingSession):
            return await session.poll(receive)
        session = await self._begin(LongPollingSession, token, caller)
        life = asyncio.create_task(self._serve_polls(token, session))
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)
        return NOTHING

    async def _serve_polls(self, token: str, session: LongPollingSession) -> None:
        try:
            async with self._sessions.holding(session):
                await session.live()
        finally:
            await self._forget(token)

    async def _begin(self, kind: type[_S], token: str, caller: Caller) -> _S:
        """A session on a token that nobody has used; one in use here is on another transport."""
        if kind.transport not in self._transports:
            raise NotFoundError("The transport is not offered")
        try:
            connection_id = await self._tokens.claim(token, hub=caller.hub_name, user_id=caller.user_id)
        except ConflictError:
            raise InvalidRequestError(CHANGED) from None
        session = self._make(kind, caller, connection_id)
        self._open[token] = session
        return session

    async def _forget(self, token: str) -> None:
        self._open.pop(token, None)
        await self._tokens.release(token)
