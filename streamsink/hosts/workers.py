"""Several processes on one port. The parent holds the socket and keeps its workers alive, and serves nothing itself.

Parent and worker have a pair of sockets: the worker writes a byte when it listens, and drains and ends by itself when
the parent is gone. Workers are in sessions of their own, so that Ctrl-C reaches the parent alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

from streamsink.core.runtime import run_unless
from streamsink.hosts.errors import WorkersError
from streamsink.hosts.listening import listen, url_of
from streamsink.opening import with_secret
from streamsink.plugins import check_workers, create_plugin_manager, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from streamsink.core.settings import Settings

__all__ = ["Inherited", "Supervisor", "run_workers"]

_log = logging.getLogger("streamsink")

# Beyond STREAM_DRAIN_S: last terminals (5 s), open responses (3 s), the clients' side of their ends (5 s), and some.
_CLOSING_S: Final = 20.0
_QUICK_S: Final = 5.0
_QUICK_ENDS: Final = 5
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def run_workers(command: Sequence[str], *, count: int, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Keep ``count`` workers serving one port until SIGINT or SIGTERM; then drain them.

    Args:
        command: starts a worker, when ``--worker`` and two descriptors are put behind it: see ``Inherited``.
        port: 0 for a free one.
        announce: called with the URL when all of them listen.

    Raises:
        SettingsError: a setting is wrong or missing, or the backend serves one process only.
        WorkersError: they cannot start, or do not stay.
        OSError: the address cannot be had.
    """
    settings = _settings()
    with listen(host, port) as listener:
        supervisor = Supervisor(
            command,
            listener,
            count=count,
            stop_s=settings.times.drain_s + _CLOSING_S,
            on_started=lambda: announce(url_of(host, listener)),
        )
        asyncio.run(supervisor.run())


def _settings() -> Settings:
    if not hasattr(os, "fork"):
        raise WorkersError("workers that share a port need a POSIX system; use one process here")
    manager = create_plugin_manager()
    settings = load_settings(os.environ, manager)
    check_workers(manager, settings, os.environ)
    return with_secret(settings)


class Inherited:
    """A worker's side: what its parent has given it. To be made first of all, before anything starts a process.

    A context manager that closes both.

    Args:
        listener: the descriptor of the listening socket.
        link: that of the pair.
    """

    def __init__(self, listener: int, link: int) -> None:
        self.listener: socket.socket = socket.socket(fileno=listener)
        self._link = socket.socket(fileno=link)
        for inherited in (self.listener, self._link):
            inherited.set_inheritable(False)
            inherited.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.listener.close()
        self._link.close()

    def tell_started(self) -> None:
        """Say, in the running loop, that this worker listens; and end it, drained, when the parent is gone."""
        loop = asyncio.get_running_loop()
        with suppress(BrokenPipeError):
            self._link.send(b"1")
        loop.add_reader(self._link, self._on_orphaned, loop)

    def _on_orphaned(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(self._link)
        signal.raise_signal(signal.SIGTERM)


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process, link: socket.socket) -> None:
        self.process = process
        self._link = link
        self._since: float | None = None

    async def listens(self) -> bool:
        """Return when it listens: True, or has ended without: False."""
        loop = asyncio.get_running_loop()
        if self._since is None and await loop.sock_recv(self._link, 1):
            self._since = loop.time()
        return self._since is not None

    async def ended(self) -> float:
        """Return when it has ended; gives the seconds for which it has listened."""
        listened = await self.listens()
        await self.process.wait()
        self._link.close()
        return asyncio.get_running_loop().time() - self._since if listened and self._since is not None else 0.0

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def __str__(self) -> str:
        code = self.process.returncode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"worker {self.process.pid} ended ({how})"


class Supervisor:
    """Keeps workers alive.

    Args:
        command: as for ``run_workers``.
        listener: what they listen on; closed once they are to stop.
        count: how many.
        stop_s: after which a worker that was told to stop is killed.
        on_started: called when all of them listen.
        quick_s: a worker that has listened for less has failed.
    """

    def __init__(
        self,
        command: Sequence[str],
        listener: socket.socket,
        *,
        count: int,
        stop_s: float,
        on_started: Callable[[], None],
        quick_s: float = _QUICK_S,
    ) -> None:
        self._command = tuple(command)
        self._listener = listener
        self._count = count
        self._stop_s = stop_s
        self._on_started = on_started
        self._quick_s = quick_s
        self._workers: set[_Worker] = set()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Return after the first SIGTERM or SIGINT, when all workers have ended; a second one kills them.

        Raises:
            WorkersError: one ended before it listened; or ended soon after its start, five times in a row.
        """
        with self._signals():
            try:
                await run_unless(self._stopping, self._keep_all())
            finally:
                await self._stop_all()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            self._send_all(signal.SIGKILL)
        self._stopping.set()

    async def _keep_all(self) -> None:
        try:
            # The first one alone: what is wrong is wrong for all, and should be said once.
            workers = [await self._start_listening()]
            async with asyncio.TaskGroup() as group:
                others = [group.create_task(self._start_listening()) for _ in range(self._count - 1)]
            self._on_started()
            async with asyncio.TaskGroup() as group:
                for worker in (*workers, *(task.result() for task in others)):
                    group.create_task(self._keep(worker))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _start_listening(self) -> _Worker:
        worker = await self._start()
        if not await worker.listens():
            await self._ended(worker)
            raise WorkersError(f"{worker} before it listened; what it said is above")
        return worker

    async def _start(self) -> _Worker:
        link, theirs = socket.socketpair()
        link.setblocking(False)
        descriptors = (self._listener.fileno(), theirs.fileno())
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    "--worker",
                    *map(str, descriptors),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=descriptors,
                    start_new_session=True,
                )
            except BaseException:
                link.close()
                raise
        worker = _Worker(process, link)
        self._workers.add(worker)
        return worker

    async def _keep(self, worker: _Worker) -> None:
        quick_ends = 0
        while True:
            lived_s = await self._ended(worker)
            quick_ends = quick_ends + 1 if lived_s < self._quick_s else 0
            if quick_ends == _QUICK_ENDS:
                raise WorkersError(f"{worker} soon after its start, as {_QUICK_ENDS} in a row did: giving up")
            _log.warning("%s; starting another", worker)
            worker = await self._start()

    async def _ended(self, worker: _Worker) -> float:
        lived_s = await worker.ended()
        self._workers.discard(worker)
        return lived_s

    async def _stop_all(self) -> None:
        self._listener.close()  # nobody should wait in a queue that nobody reads
        self._send_all(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._stop_s):
                await self._all_ended()
        except TimeoutError:
            _log.warning("%d workers did not end within %g s and are killed", len(self._workers), self._stop_s)
            self._send_all(signal.SIGKILL)
            await self._all_ended()

    async def _all_ended(self) -> None:
        await asyncio.gather(*(self._ended(worker) for worker in tuple(self._workers)))

    def _send_all(self, number: signal.Signals) -> None:
        for worker in self._workers:
            worker.send(number)
