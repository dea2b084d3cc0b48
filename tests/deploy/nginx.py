"""nginx with the configuration that is shipped, in front of nodes of a test."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Sequence

__all__ = ["Nginx", "configured", "find", "nginx"]

CONFIGURATION: Final = Path(__file__).parents[2] / "deploy" / "nginx.conf"
_STOP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running server.

    Attributes:
        log: what it says: accesses and errors.
    """

    url: str
    log: Path


def find() -> str:
    """The program."""
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert binary is not None, "these tests need nginx: apt-get install nginx-light"
    return binary


@asynccontextmanager
async def nginx(listener: socket.socket, nodes: Sequence[str], folder: Path) -> AsyncIterator[Nginx]:
    """Serve on a socket that listens, in front of two nodes given by their URLs. Ended on leaving.

    The socket is inherited, as in nginx's own binary upgrades: who connects before nginx is there waits.
    """
    address = "{}:{}".format(*listener.getsockname())
    configuration, log = folder / "nginx.conf", folder / "log"
    configuration.write_text(configured(address, nodes, folder))
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            find(), "-p", str(folder), "-c", str(configuration), "-g", "daemon off;",
            stdout=output, stderr=output, pass_fds=[listener.fileno()],
            env={**os.environ, "NGINX": f"{listener.fileno()};"},
        )  # fmt: skip
    listener.close()
    try:
        yield Nginx(f"http://{address}", log)
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), _STOP_S)
    assert process.returncode == 0, log.read_text()


def configured(address: str, nodes: Sequence[str], folder: Path) -> str:
    """What is shipped, with this address, these nodes, and nothing outside the folder."""
    text = CONFIGURATION.read_text("utf-8")
    changes = {
        "listen 8080;": f"listen {address};",
        **{f"server node{number}:7071": f"server {url.removeprefix('http://')}" for number, url in enumerate(nodes, 1)},
        " /tmp/": f" {folder}/",
        "/dev/stdout": str(folder / "log"),
        "/dev/stderr": str(folder / "log"),
        "worker_processes auto;": "worker_processes 1;",
        "worker_connections 32768;": "worker_connections 512;",
        "worker_rlimit_nofile 65536;": "",
    }
    for before, after in changes.items():
        assert before in text, before
        text = text.replace(before, after)
    return text
