"""The ready host, in this process and as the command that people type."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading

import httpx
import pytest
import uvicorn

from streamsink.hosts.asgi import StreamApp
from streamsink.hosts.serve import serve

from .support import make_agent

WAIT_S = 20.0


@pytest.mark.service
def test_it_serves_until_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is there, and Ctrl-C is a proper end."""
    monkeypatch.setenv("STREAM_DRAIN_S", "0")
    told: list[str] = []
    fetched: list[int] = []

    def use(url: str) -> None:
        try:
            fetched.append(httpx.get(f"{url}/api/index", timeout=WAIT_S).status_code)
        finally:
            signal.raise_signal(signal.SIGINT)

    def announce(url: str) -> None:
        told.append(url)
        threading.Thread(target=use, args=(url,)).start()

    serve(StreamApp([make_agent()]), host="127.0.0.1", port=0, announce=announce)

    assert told[0].startswith("http://127.0.0.1:")
    assert fetched == [200]


@pytest.mark.service
def test_a_host_that_cannot_start_says_so_by_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAM_HISTORY", "nowhere")

    with pytest.raises(SystemExit) as ended:
        serve(StreamApp([make_agent()]), host="127.0.0.1", port=0, announce=_never)

    assert ended.value.code == 3
    assert "STREAM_HISTORY" in capfd.readouterr().err


async def _gives_up(server: uvicorn.Server, sockets: object = None) -> None:
    server.should_exit = True


@pytest.mark.service
def test_an_older_uvicorn_returns_when_it_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn.Server, "startup", _gives_up)

    with pytest.raises(SystemExit) as ended:
        serve(StreamApp([make_agent()]), host="127.0.0.1", port=0, announce=_never)

    assert ended.value.code == 3


def _never(url: str) -> None:
    raise AssertionError(url)


@pytest.mark.service
async def test_the_command_serves_the_demo_and_drains_at_sigterm() -> None:
    command = (sys.executable, "-c", "from streamsink.cli import main; main()", "serve", "--port", "0")
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "STREAM_DRAIN_S": "0", "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WAIT_S), httpx.AsyncClient(timeout=WAIT_S) as http:
            line = (await process.stdout.readline()).decode()
            assert line.startswith("Open http://127.0.0.1:")
            url = line.split()[1].removesuffix("/api/index")
            assert (await http.get(f"{url}/api/ready")).json() == {"status": "ready"}
            reply = await http.post(f"{url}/api/agents/TravelPlanner/run", content="Hello")
            assert reply.json()["status"] == "completed"
            process.send_signal(signal.SIGTERM)
            assert await process.wait() in (0, -signal.SIGTERM)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
