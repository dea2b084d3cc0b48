"""A TCP proxy: it spreads connections over several servers, and cuts them at exact places in what those say."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from random import Random

__all__ = ["CutAfter", "CuttingProxy", "forwarding", "never"]

_READ_BYTES = 65_536
_CUT_S = 0.1

CutAfter = Callable[[int], int | None]


def never(so_far: int) -> int | None:
    """No connection is cut."""


class CuttingProxy:
    """Gives each connection to the next of its servers, in turn; one that refuses it is passed over.

    Args:
        targets: the servers' URLs.
        cut_after: asked for each connection, with the number of cuts so far: how many bytes of the server's may
            pass before it is cut without a word; None: it is not cut.

    Attributes:
        targets: may be changed; connections that there are stay.
        cuts: by ``cut_after`` and ``cut_one``.
        taken: how many connections each server took, by its URL.
    """

    def __init__(self, targets: Iterable[str], cut_after: CutAfter = never) -> None:
        self.targets = list(targets)
        self._cut_after = cut_after
        self._turn = 0
        self.cuts = 0
        self.taken: Counter[str] = Counter()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def switch(self, *targets: str) -> None:
        """From now on to these; connections to the others are cut."""
        self.targets = list(targets)
        self.cut_all()

    def cut_one(self, chance: Random) -> None:
        """Cut any connection now."""
        there = [writer for writer in self._writers if not writer.transport.is_closing()]
        if there:
            chance.choice(there).transport.abort()
            self.cuts += 1

    def cut_all(self) -> None:
        """Cut every connection now."""
        for writer in self._writers:
            writer.transport.abort()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection."""
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await task

    async def aclose(self) -> None:
        """Cut everything, and wait for it."""
        while self._tasks:
            self.cut_all()
            await asyncio.wait(self._tasks, timeout=_CUT_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = await self._connect()
        if server is None:
            writer.transport.abort()
            return
        server_reader, server_writer = server
        pair = (writer, server_writer)
        self._writers.update(pair)
        up = asyncio.create_task(self._pipe(reader, server_writer, None))
        down = asyncio.create_task(self._pipe(server_reader, writer, self._cut_after(self.cuts)))
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        for each in pair:
            each.transport.abort()
        for task in (up, down):
            task.cancel()
        await asyncio.wait({up, down})
        self._writers.difference_update(pair)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in range(len(self.targets)):
            target = self.targets[self._turn % len(self.targets)]
            self._turn += 1
            parts = urlsplit(target)
            try:
                server = await asyncio.open_connection(parts.hostname, parts.port)
            except OSError:
                continue
            if target not in self.targets:  # switched meanwhile
                server[1].transport.abort()
                return None
            self.taken[target] += 1
            return server
        return None

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


@asynccontextmanager
async def forwarding(proxy: CuttingProxy) -> AsyncIterator[int]:
    """The proxy on a free port."""
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    try:
        port: int = server.sockets[0].getsockname()[1]
        yield port
    finally:
        server.close()
        await proxy.aclose()
        await server.wait_closed()
