"""Django Channels with channels_redis, under uvicorn. Argument: the Redis port."""

from __future__ import annotations

import sys
from typing import Any

from bench.gateways.common import run, serve_uvicorn


def application(redis: str) -> Any:
    """One consumer, in the group that its path names."""
    import django
    from django.conf import settings

    # redis-py allows a pool 100 connections, and fails past that; the clients of this bench join at once.
    host = {"address": f"redis://127.0.0.1:{redis}", "max_connections": 5_000}
    layer = {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [host], "capacity": 100_000},
    }
    settings.configure(CHANNEL_LAYERS={"default": layer}, SECRET_KEY="bench", ALLOWED_HOSTS=["*"])
    django.setup()
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.routing import URLRouter
    from django.urls import re_path

    class Consumer(AsyncWebsocketConsumer):  # type: ignore[misc]
        async def connect(self) -> None:
            self.group = self.scope["url_route"]["kwargs"]["group"]
            if self.group:
                await self.channel_layer.group_add(self.group, self.channel_name)
            await self.accept()
            await self.send("ready")

        async def disconnect(self, code: int) -> None:
            if self.group:
                await self.channel_layer.group_discard(self.group, self.channel_name)

        async def event(self, message: dict[str, str]) -> None:
            await self.send(message["text"])

    return URLRouter([re_path(r"^ws/(?P<group>[\w-]*)$", Consumer.as_asgi())])


if __name__ == "__main__":
    run(serve_uvicorn(application(sys.argv[1])))
