"""A TCP proxy that cuts connections at exact places in what the server says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["CuttingProxy", "cutting_proxy"]

_READ_BYTES = 65_536

CutAfter = Callable[[int], int | None]


class CuttingProxy:
    """Forwards to one address.

    Args:
        cut_after: asked for each connection, with the number of cuts so far: how many bytes of the server's may
            pass before it is cut without a word; None: it is not cut.
    """

    def __init__(self, host: str, port: int, cut_after: CutAfter) -> None:
        self._target = (host, port)
        self._cut_after = cut_after
        self.cuts = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection."""
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, server_writer)
        self._writers.update(pair)
        up = asyncio.create_task(self._pipe(reader, server_writer, None))
        down = asyncio.create_task(self._pipe(server_reader, writer, self._cut_after(self.cuts)))
        self._tasks.update((up, down))
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        for each in pair:
            each.transport.abort()
        for task in (up, down):
            task.cancel()
        await asyncio.wait({up, down})
        self._tasks.difference_update((up, down))
        self._writers.difference_update(pair)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, allowance: int | None) -> None:
        try:
            while data := await reader.read(_READ_BYTES):
                if allowance is not None and len(data) >= allowance:
                    writer.write(data[:allowance])
                    await writer.drain()
                    self.cuts += 1
                    return
                if allowance is not None:
                    allowance -= len(data)
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            return

    def cut_all(self) -> None:
        """Cut every connection now."""
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def cutting_proxy(url: str, cut_after: CutAfter = lambda so_far: None) -> AsyncIterator[tuple[str, CuttingProxy]]:
    """A proxy in front of ``url``; gives its own URL and itself."""
    parts = urlsplit(url)
    proxy = CuttingProxy(parts.hostname or "127.0.0.1", parts.port or 80, cut_after)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", proxy
    finally:
        server.close()
        proxy.cut_all()
        await server.wait_closed()
