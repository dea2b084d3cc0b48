"""WebSockets under uvicorn: those that the backend takes leave ASGI behind, the others stay with the server.

::

    uvicorn.Config(app, ws=websocket_protocol(app.sockets))
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from streamsink.core.delivery import ServesSockets

__all__ = ["websocket_protocol"]


def websocket_protocol(find: Callable[[], ServesSockets | None]) -> type[asyncio.Protocol]:
    """The class for uvicorn's ``ws=``.

    Args:
        find: asked at every upgrade for who takes sockets; None: nobody now, they go to the application.
    """

    class WebSocketUpgrade(_Upgrade):
        __slots__ = ()

        def find(self) -> ServesSockets | None:
            return find()

    return WebSocketUpgrade


# With an error, so that the loser does not close the transport.
_UPGRADED: Final = ConnectionAbortedError("the connection is a WebSocket now")


class _Upgrade(asyncio.Protocol, ABC):
    """Looks at one upgrade request, then gives the connection away.

    uvicorn sets this object as the transport's protocol after the request, so that the successor is set in the
    next loop turn; what happens before that is passed on. Then uvicorn's HTTP protocol is told that the connection is
    no longer its own: it lets go of its parser, and both of their memory, without a garbage collection.
    """

    __slots__ = ("_arguments", "_predecessor", "_successor", "_transport")

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self._arguments = (config, server_state, app_state)
        self._predecessor: asyncio.BaseProtocol
        self._successor: asyncio.Protocol | None = None
        self._transport: asyncio.Transport

    @abstractmethod
    def find(self) -> ServesSockets | None:
        """Who takes sockets now."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._predecessor = self._transport.get_protocol()

    def data_received(self, data: bytes) -> None:
        if self._successor is not None:
            self._successor.data_received(data)
            return
        self._successor = self._choose(data)
        self._successor.connection_made(self._transport)
        self._successor.data_received(data)
        asyncio.get_running_loop().call_soon(self._hand_over, self._successor)

    def _hand_over(self, successor: asyncio.Protocol) -> None:
        self._transport.set_protocol(successor)
        self._predecessor.connection_lost(_UPGRADED)

    def pause_writing(self) -> None:
        self._given().pause_writing()

    def resume_writing(self) -> None:
        self._given().resume_writing()

    def eof_received(self) -> bool | None:
        return self._given().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._given().connection_lost(exc)

    def _given(self) -> asyncio.Protocol:
        assert self._successor is not None  # noqa: S101  uvicorn gives the request before anything can happen
        return self._successor

    def _choose(self, data: bytes) -> asyncio.Protocol:
        config, server_state, app_state = self._arguments
        takes = self.find()
        if takes is None or not takes.takes_socket(_path(data)):
            return WebSocketsSansIOProtocol(config, server_state, app_state)
        protocol = takes.socket_protocol(_forget(server_state))
        server_state.connections.add(cast("Any", protocol))  # uvicorn ends it by ``shutdown()``, and waits for it
        return protocol


@lru_cache(maxsize=1)
def _forget(state: ServerState) -> Callable[[Any], None]:
    """One for all connections, each of which keeps it."""
    return state.connections.discard


def _path(request: bytes) -> str:
    """Of a request line that uvicorn has written."""
    target = request.split(b" ", 2)[1]
    return unquote(target.partition(b"?")[0].decode("latin-1"))
