"""A node of the redis backend, as ``streamsink serve`` runs it. Argument: the Redis port."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from bench.feed import FeedProtocol, Lag
from bench.gateways.auth import SETTINGS
from bench.gateways.common import run, serve_uvicorn
from bench.store import redis_settings
from streamsink.backends.redis.delivery import RedisDelivery
from streamsink.backends.redis.factory import redis_sink
from streamsink.core.runtime import Runtime
from streamsink.hosts.sockets import websocket_protocol


async def main(port: int) -> None:
    sink, lag, joining = redis_sink(SETTINGS, redis_settings(port), Runtime()), Lag(), set[asyncio.Task[None]]()
    delivery = sink.ability(RedisDelivery)
    assert delivery is not None

    def join(group: str, member: str) -> None:
        joining.add(asyncio.ensure_future(delivery.join(group, member, user_id=None)))

    async def stats() -> dict[str, Any]:
        await asyncio.gather(*joining)
        joining.clear()
        return {"worst_ms": lag.take() * 1000}

    loop = asyncio.get_running_loop()
    nothing = lambda *_: None  # noqa: E731  what is published comes through Redis
    control = await loop.create_server(lambda: FeedProtocol(nothing, join, stats), "127.0.0.1", 0)
    ws = websocket_protocol(lambda: delivery)
    await serve_uvicorn(delivery.client_app, ws=ws, feed=control.sockets[0].getsockname()[1])


if __name__ == "__main__":
    run(main(int(sys.argv[1])))
