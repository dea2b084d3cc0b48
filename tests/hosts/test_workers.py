"""A parent and its workers: real processes, of a few lines each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from streamsink.core.errors import SettingsError
from streamsink.hosts.errors import WorkersError
from streamsink.hosts.listening import listen
from streamsink.hosts.workers import Inherited, Supervisor, run_workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.service

WAIT_S = 20.0
SECRET = "a-secret-of-more-than-thirty-two-characters"

PARTS = """
import os, signal, socket, sys
listener, link = (socket.socket(fileno=int(each)) for each in sys.argv[-2:])
listener.setblocking(True)
def answer():
    connection, _ = listener.accept()
    connection.sendall(b"%d\\n" % os.getpid())
"""
SERVES = "link.send(b'1')\nwhile True: answer()"
STAYS = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVES
STARTS_SLOWLY = "while True: answer()"
ENDS = "link.send(b'1')"
FAILS = "print(end='x', flush=True); sys.exit(7)"
CRASHES = "os.kill(os.getpid(), signal.SIGKILL)"


def command(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", PARTS + code]


@asynccontextmanager
async def supervising(
    code: str, count: int = 1, *, stop_s: float = WAIT_S
) -> AsyncIterator[tuple[asyncio.Task[None], asyncio.Event, int]]:
    """The supervisor's task, the event that its workers listen, and their port; it is told to stop at the end."""
    started = asyncio.Event()
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        supervisor = Supervisor(command(code), listener, count=count, stop_s=stop_s, on_started=started.set)
        task = asyncio.create_task(supervisor.run())
        try:
            async with asyncio.timeout(WAIT_S):
                yield task, started, port
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, WorkersError):
                await task


async def ask(port: int) -> int:
    """The process that answers; waits until one does. One that is being killed may accept, and say nothing."""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionResetError):
            said = await reader.readline()
            writer.close()
            await writer.wait_closed()
            if said:
                return int(said)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_them_all(number: signal.Signals) -> None:
    async with supervising(SERVES, 2) as (task, started, port):
        await started.wait()
        pid = await ask(port)

        signal.raise_signal(number)
        await task

        assert is_gone(pid)
        with pytest.raises(ConnectionRefusedError):
            await ask(port)


async def test_one_that_dies_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    async with supervising(SERVES) as (task, started, port):
        await started.wait()
        first = await ask(port)

        os.kill(first, signal.SIGKILL)
        second = await ask(port)

        assert second != first
        assert not task.done()
        assert f"worker {first} ended (SIGKILL); starting another" in caplog.text


@pytest.mark.parametrize(("code", "how"), [(FAILS, "exit code 7"), (CRASHES, "SIGKILL")])
async def test_what_is_wrong_for_all_is_said_by_the_first(
    code: str, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with supervising(code, 3) as (task, started, _):
        with pytest.raises(WorkersError, match=rf"worker \d+ ended \({how}\) before it listened"):
            await task

        assert not started.is_set()
        assert capfd.readouterr().out in ("x", "")


async def test_those_that_never_stay_are_given_up(caplog: pytest.LogCaptureFixture) -> None:
    async with supervising(ENDS, 2) as (task, started, _):
        with pytest.raises(WorkersError, match="5 in a row"):
            await task

        assert started.is_set()
        assert 4 <= caplog.text.count("starting another") <= 8


async def test_one_that_does_not_stop_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    async with supervising(STAYS, stop_s=0.01) as (task, started, port):
        await started.wait()
        pid = await ask(port)

        signal.raise_signal(signal.SIGTERM)
        await task

        assert is_gone(pid)
        assert "1 workers did not end within 0.01 s and are killed" in caplog.text


async def test_a_second_signal_is_for_people_in_a_hurry() -> None:
    async with supervising(STAYS) as (task, started, port):
        await started.wait()
        pid = await ask(port)

        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        await task

        assert is_gone(pid)


async def test_it_can_be_stopped_while_they_start() -> None:
    async with supervising(STARTS_SLOWLY) as (task, started, port):
        pid = await ask(port)

        signal.raise_signal(signal.SIGTERM)
        await task

        assert is_gone(pid)
        assert not started.is_set()


async def test_a_command_that_does_not_exist_is_an_error() -> None:
    with listen("127.0.0.1", 0) as listener:
        supervisor = Supervisor(["/no/such"], listener, count=1, stop_s=1, on_started=lambda: None)
        with pytest.raises(FileNotFoundError):
            await supervisor.run()


async def test_a_worker_without_a_parent_ends() -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    try:
        with listen("127.0.0.1", 0) as listener:
            parent, link = socket.socketpair()
            with Inherited(os.dup(listener.fileno()), link.detach()) as inherited:
                assert not inherited._link.get_inheritable()
                inherited.tell_started()
                assert parent.recv(1) == b"1"
                parent.close()

                await asyncio.wait_for(told.wait(), WAIT_S)
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


async def test_a_parent_may_be_gone_before_a_worker_listens() -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    try:
        with listen("127.0.0.1", 0) as listener:
            parent, link = socket.socketpair()
            parent.close()
            with Inherited(os.dup(listener.fileno()), link.detach()) as inherited:
                inherited.tell_started()

                await asyncio.wait_for(told.wait(), WAIT_S)
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


def test_the_address_is_announced_once_they_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_BACKEND", "redis")  # nobody connects to it here
    monkeypatch.setenv("STREAM_SECRET", SECRET)
    told: list[str] = []

    def announce(url: str) -> None:
        told.append(url)
        threading.Thread(target=signal.raise_signal, args=(signal.SIGTERM,)).start()

    run_workers(command(SERVES), count=2, host="127.0.0.1", port=0, announce=announce)

    assert len(told) == 1
    assert told[0].startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"STREAM_BACKEND": "memory"}, "STREAM_BACKEND"),
        ({"STREAM_BACKEND": "signalr"}, "STREAM_HISTORY"),
        ({"STREAM_BACKEND": "signalr", "STREAM_HISTORY": "memory"}, "STREAM_HISTORY"),
        ({"STREAM_BACKEND": "signalr", "STREAM_HISTORY": "redis"}, "STREAM_SIGNALR_CONNECTION_STRING"),
        ({"STREAM_BACKEND": "redis"}, "STREAM_SECRET"),
        ({"STREAM_BACKEND": "redis", "STREAM_STICKY_ROUTING": "yes"}, "STREAM_STICKY_ROUTING"),
    ],
)
def test_what_several_processes_need_is_asked_for_first(
    environ: dict[str, str], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STREAM_SECRET", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=variable):
        run_workers(command(SERVES), count=2, host="127.0.0.1", port=0, announce=_never)


def test_other_systems_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")

    with pytest.raises(WorkersError, match="POSIX"):
        run_workers(command(SERVES), count=2, host="127.0.0.1", port=0, announce=_never)


def _never(url: str) -> None:
    raise AssertionError(url)
