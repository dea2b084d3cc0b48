"""Our gateway, whole protocol in place, fed by the publisher's process. Argument: ``sockets`` or ``asgi``."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from bench.feed import FeedProtocol, Lag
from bench.gateways.auth import KEYS
from bench.gateways.common import run, serve_uvicorn
from streamsink.backends.gateway.delivery import GatewayBounds, GatewayDelivery
from streamsink.hosts.sockets import websocket_protocol


async def main(path: str) -> None:
    delivery = GatewayDelivery(KEYS, bounds=GatewayBounds(close_s=0.2))
    hub, lag = delivery.hub, Lag()

    async def stats() -> dict[str, Any]:
        return {"worst_ms": lag.take() * 1000, "slow": hub.slow_readers, "connections": len(hub)}

    loop = asyncio.get_running_loop()
    feed = await loop.create_server(lambda: FeedProtocol(hub.publish, hub.join, stats), "127.0.0.1", 0)
    ws = websocket_protocol(lambda: delivery) if path == "sockets" else "websockets-sansio"
    await serve_uvicorn(delivery.client_app, ws=ws, feed=feed.sockets[0].getsockname()[1])


if __name__ == "__main__":
    run(main(sys.argv[1]))
