"""python-socketio with its Redis manager, under uvicorn. Argument: the Redis port."""

from __future__ import annotations

import sys
from typing import Any

import socketio

from bench.gateways.common import run, serve_uvicorn


async def main(redis: str) -> None:
    manager = socketio.AsyncRedisManager(f"redis://127.0.0.1:{redis}/0")
    server = socketio.AsyncServer(
        async_mode="asgi", client_manager=manager, http_compression=False, ping_interval=300, ping_timeout=300
    )

    async def join(sid: str, group: str) -> None:
        await server.enter_room(sid, group)
        # To this connection, and not through Redis.
        await server.emit("joined", group, to=sid, ignore_queue=True)

    server.on("join", join)
    app: Any = socketio.ASGIApp(server)
    await serve_uvicorn(app)


if __name__ == "__main__":
    run(main(sys.argv[1]))
