"""HTTP clients with kept-alive connections, one per event loop."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from streamsink.core.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

__all__ = ["HttpClients"]

_CLOSE_S: Final = 5.0


class HttpClients:
    """Makes a client for each loop that asks, since connections belong to the loop that opened them.

    Azure Functions runs an agent on a loop of another thread than the HTTP routes. Safe to be used from all of them.

    Args:
        make: makes one.
    """

    def __init__(self, make: Callable[[], httpx.AsyncClient]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()
        self._is_closed = False

    def get(self) -> httpx.AsyncClient:
        """The running loop's client.

        Raises:
            UnavailableError: everything is closed.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._is_closed:
                raise UnavailableError("the connection to Azure SignalR Service is closed")
            client = self._clients.get(loop)
            if client is None:
                client = self._clients[loop] = self._make()
            return client

    async def aclose(self) -> None:
        """Close each client on its own loop; those whose loop is closed, or stands still, have nobody who could."""
        with self._lock:
            self._is_closed = True
            clients = dict(self._clients)
            self._clients.clear()
        for loop, client in clients.items():
            if loop is asyncio.get_running_loop():
                await client.aclose()
            elif loop.is_running():
                closing = client.aclose()
                try:
                    future = asyncio.run_coroutine_threadsafe(closing, loop)
                except RuntimeError:  # closed in this very moment
                    closing.close()
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.wrap_future(future), _CLOSE_S)
