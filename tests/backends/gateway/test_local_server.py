"""A server in the test's own loop."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn

from streamsink.backends.gateway.local_server import listening

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.service


async def hello(scope: Any, receive: Any, send: Callable[[Any], Any]) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed"})
        return
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_it_serves_while_inside() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with listening(uvicorn.Config(hello, lifespan="off"), listener), httpx.AsyncClient() as http:
            assert (await http.get(url)).status_code == 204
        async with httpx.AsyncClient() as http:
            with pytest.raises(httpx.ConnectError):
                await http.get(url)


async def test_an_application_that_does_not_start_is_an_error() -> None:
    config = uvicorn.Config(hello, lifespan="on", log_level="critical")
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(RuntimeError, match="has said why"):
        async with listening(config, listener):
            pytest.fail("it serves")


async def test_a_server_that_is_stopped_while_it_starts_is_an_error() -> None:
    """Older versions of uvicorn end so when the application does not start."""
    config = uvicorn.Config(hello, lifespan="off", log_level="critical")
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn.Server, "startup", _stop)
        with pytest.raises(RuntimeError, match="has said why"):
            async with listening(config, listener):
                pytest.fail("it serves")


async def _stop(server: uvicorn.Server, sockets: Any = None) -> None:
    server.should_exit = True
