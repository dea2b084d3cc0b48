"""The gateway's WebSockets on raw sockets: who is let in, and the end of all.

A host that owns its sockets hands them over (:class:`~streamsink.core.delivery.ServesSockets`); under any other
ASGI server the same clients are served by ``app`` and ``websocket``, at twice the cost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from streamsink.backends.gateway.connection import Limits
from streamsink.backends.gateway.http import Reply, Request, refusal
from streamsink.backends.gateway.slices import Slices
from streamsink.backends.gateway.socket_protocol import SocketProtocol
from streamsink.backends.gateway.ticker import Ticker
from streamsink.backends.gateway.websocket_peer import Upgrade
from streamsink.core.errors import StreamSinkError, UnavailableError
from streamsink.core.runtime import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streamsink.backends.gateway.admission import Admission, Caller

__all__ = ["Sockets"]

ROUTES: Final = ("/client", "/client/")

# Done before the loop may do something else: about 5 ms. Clients of a node that died come all at once, and those that
# came together, or heard the same event, are due for a ping together.
_UPGRADES_AT_ONCE: Final = 50
_ENDS_AT_ONCE: Final = 200
_TICKS_AT_ONCE: Final = 200

_log = logging.getLogger("streamsink")


class Sockets:
    """All of a gateway's raw connections.

    Args:
        admission: who may connect to what.
        claim: gives the connection token of an admitted request, used, and its connection id.
        release: takes the token back.
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
        claim: Callable[[Request, Caller], Awaitable[tuple[str, str]]],
        release: Callable[[str], Awaitable[None]],
        limits: Limits | None = None,
        max_buffered_bytes: int = 1_048_576,
        close_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._admission = admission
        self._claim = claim
        self._release = release
        self.limits: Limits = limits or Limits()
        self.max_buffered_bytes = max_buffered_bytes
        self.close_s = close_s
        self.clock = clock
        self._tick_times = (clock(), clock())  # of the last one, and of the one before
        self._ticker = Ticker(self.tick, sleep=sleep)
        self._tasks = TaskOwner()
        self._arrived = Slices(self._admit, at_once=_UPGRADES_AT_ONCE)
        self._ended = Slices(self._end, at_once=_ENDS_AT_ONCE)
        self._ticked = Slices(self._tick, at_once=_TICKS_AT_ONCE)
        self._open: set[SocketProtocol] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def protocol(self, on_lost: Callable[[asyncio.Protocol], None]) -> SocketProtocol:
        """The protocol of a connection that is being made."""
        return SocketProtocol(self, on_lost)

    def admit(self, socket: SocketProtocol, request: bytes) -> None:
        """Answer an upgrade soon, after those before it."""
        self._arrived.add((socket, request))

    def _admit(self, arrived: tuple[SocketProtocol, bytes]) -> None:
        socket, upgrade = arrived[0], Upgrade(arrived[1])
        try:
            if upgrade.scope is None:
                raise UnavailableError  # never sent: the answer to such a request is the library's
            request = Request.of(upgrade.scope)
            caller = self._admission.admit(request, routes=ROUTES)
        except StreamSinkError as error:
            socket.refuse(upgrade, refusal(error))
            return
        self._tasks.start(self._connect(socket, upgrade, request, caller), name="websocket upgrade")

    async def _connect(self, socket: SocketProtocol, upgrade: Upgrade, request: Request, caller: Caller) -> None:
        try:
            token, connection_id = await self._claim(request, caller)
        except StreamSinkError as error:
            socket.refuse(upgrade, refusal(error))
            return
        except Exception:
            _log.exception("a WebSocket upgrade failed")
            socket.refuse(upgrade, Reply(500))
            return
        if self._admission.is_draining or caller.hub.is_draining:
            socket.refuse(upgrade, refusal(UnavailableError("The server is going away; try again.")))
        elif socket.accept(upgrade, caller, connection_id, token):
            self._add(socket)
            return
        await self._release(token)

    def _add(self, socket: SocketProtocol) -> None:
        self._open.add(socket)
        self._is_idle.clear()
        self._ticker.start()

    def remove(self, socket: SocketProtocol, token: str) -> None:
        """An accepted connection is over."""
        self._open.discard(socket)
        self._ended.add(token)

    def _end(self, token: str) -> None:
        self._tasks.start(self._give_back(token), name="websocket end")

    async def _give_back(self, token: str) -> None:
        try:
            await self._release(token)
        except StreamSinkError as error:
            _log.debug("a connection token was not released: %s", error)
        if not self._open and not self._ended:
            self._is_idle.set()
            await self._ticker.stop()

    def tick(self) -> None:
        """Send the pings and end the connections that are due, soon."""
        self._tick_times = (self.clock(), self._tick_times[0])
        for socket in self._open:
            self._ticked.add(socket)

    def _tick(self, socket: SocketProtocol) -> None:
        if socket in self._open:  # still
            socket.tick(*self._tick_times)

    def drain(self) -> None:
        """Ask every client to reconnect."""
        for socket in tuple(self._open):
            socket.close(allow_reconnect=True)

    async def aclose(self) -> None:
        """Drain, and wait until every connection is over: at most ``close_s``."""
        self.drain()
        await self._is_idle.wait()
        await self._tasks.aclose(grace_s=self.close_s)
