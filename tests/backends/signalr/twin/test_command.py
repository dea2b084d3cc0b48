"""``streamsink twin``."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from click.testing import CliRunner

from streamsink import cli
from streamsink.backends.signalr.twin import Faults, command
from streamsink.backends.signalr.twin.command import TwinOptions, execute, run
from streamsink.core.delivery import ConnectInfo
from streamsink.core.errors import SettingsError
from streamsink.testing.signalr import signalr_client

from .support import Rest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EMULATORS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_it_prints_a_connection_string_and_serves_until_a_signal() -> None:
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        stop()

    run(TwinOptions(port=0), say=say)

    [found] = said
    assert re.fullmatch(rf"Endpoint=http://127\.0\.0\.1;Port=\d+;AccessKey={EMULATORS};Version=1\.0;", found)


def test_it_takes_commands_while_it_runs() -> None:
    said: list[str] = []
    chunks = [b"fault send:st", b"atus=503\ncut\n", b"bogus\nexpire\ncl", b"ear\n", b""]

    def say(text: str) -> None:
        said.append(text)
        if len(said) == 6:
            stop()

    run(TwinOptions(port=0, faults=["send:drop"]), say=say, read=lambda _: chunks.pop(0))

    assert said[1:] == ["ok", "ok 0", "error: commands are: fault RULE, clear, cut [COUNT], expire", "ok", "ok"]


def test_commands_are_answered() -> None:
    faults = Faults()
    cut: list[int] = []

    def cutting(choose: Callable[[Sequence[int]], Sequence[int]]) -> int:
        cut.extend(choose(range(5)))
        return len(cut)

    faults.attach(cut=cutting, expire=lambda: None)

    assert execute(faults, "cut 2") == "ok 2"
    assert execute(faults, "cut x").startswith("error: ")
    assert execute(faults, "fault send:status=1") == "error: status should be from 400 to 599"
    assert faults.draw("send").failure is None


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (TwinOptions(host="0.0.0.0"), "--key should be given"),
        (TwinOptions(keys=["short"]), "AccessKey should be at least 32"),
        (TwinOptions(faults=["send"]), "--fault should be such as .*; nothing goes wrong"),
    ],
)
def test_wrong_options_are_named(options: TwinOptions, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        run(options, say=pytest.fail)


def test_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[TwinOptions, bool]] = []

    def stand_in(options: TwinOptions, *, say: Callable[[str], None], read: object) -> None:
        given.append((options, read is not None))
        say("Endpoint=…;")

    monkeypatch.setattr(command, "run", stand_in)
    arguments = ["--host", "::1", "--port", "0", "--key", "a", "--key", "b", "--endpoint", "http://twin:8888", "--kick"]
    more = ["--fault", "send:drop", "--fault", "join:drop", "--seed", "7", "--commands"]

    plain, full = CliRunner().invoke(cli.main, ["twin"]), CliRunner().invoke(cli.main, ["twin", *arguments, *more])

    assert (plain.output, full.output) == ("Endpoint=…;\n", "Endpoint=…;\n")
    everything = TwinOptions(
        host="::1",
        port=0,
        keys=("a", "b"),
        endpoint="http://twin:8888",
        faults=("send:drop", "join:drop"),
        seed=7,
        close_reconnects=False,
    )
    assert given == [(TwinOptions(keys=(), faults=()), False), (everything, True)]


def test_what_is_wrong_is_said_in_a_line() -> None:
    result = CliRunner().invoke(cli.main, ["twin", "--fault", "bogus:drop"])

    assert result.exit_code == 1
    assert result.output.startswith(
        "Error: --fault should be such as 'send:status=503,probability=0.05'; the operation"
    )


@pytest.mark.service
async def test_it_is_a_service_of_its_own() -> None:
    """The command in a process, told over its standard input, used with what it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streamsink", "twin", "--port", "0", "--commands"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30), httpx.AsyncClient() as http:
            rest = Rest((await process.stdout.readline()).decode().strip(), http)
            token = (await rest.chat("POST", ":generateToken", query="userId=u")).json()["token"]
            async with signalr_client(ConnectInfo(f"{rest.origin}/client/?hub=chat", token)) as client:
                await rest.send("users/u/", {"n": 1})
                await client.until(1)
            process.stdin.write(b"fault send:status=429,count=1\n")
            assert await process.stdout.readline() == b"ok\n"
            assert [(await rest.send("")).status_code for _ in range(2)] == [429, 202]
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
