"""Requests that are not quite what they should be, before the API is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamsink.core.settings import Settings, Times
from streamsink.hosts.asgi import StreamApp
from streamsink.testing.clock import virtual_time

from .contract_checking import assert_error
from .support import call_asgi, make_agent, named, running_site

if TYPE_CHECKING:
    import pytest

SECRETLESS = Settings(times=Times(drain_s=0))


@virtual_time
async def test_a_host_header_that_is_none_is_a_bad_request() -> None:
    """Also for a preflight and for what needs no login: in the one shape."""
    async with running_site() as site:
        for method, path in (("POST", "/api/agent/create-thread"), ("OPTIONS", "/api/health"), ("GET", "/api/health")):
            for host in ("evil/path", "a b", "user@host"):
                reply = await site().request(method, path, headers={"host": host})
                assert_error(reply, 400, "invalid_request")


@virtual_time
async def test_with_a_public_url_no_host_is_needed() -> None:
    settings = Settings(public_url="https://chat.example.com/app")
    async with running_site(settings=settings) as site:
        reply = await site().get("/api/agent/negotiate", headers={"host": "whatever/it is"})

        assert reply.json()["url"].startswith("https://chat.example.com/app/client/?hub=")


@virtual_time
async def test_nothing_is_redirected() -> None:
    """A redirect would go to whatever the Host header says."""
    async with running_site() as site:
        assert_error(await site().get("/api/health/", headers={"host": "evil.example"}), 404)


@virtual_time
async def test_head_answers_as_get_without_a_body() -> None:
    """Also where GET would stream for ever."""
    async with running_site() as site:
        thread = await site.thread()
        for path in ("/api/health", f"/api/agent/threads/{thread}/events"):
            reply = await site().head(path, headers={"accept": "text/event-stream"})
            assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/event-stream"
        assert (await site().head("/api/agent/create-thread")).status_code == 405


@virtual_time
async def test_a_client_that_leaves_while_it_speaks_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    app = StreamApp([make_agent()], settings=SECRETLESS, identify=named)
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/agents/Robot/run",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"host", b"host.test"), (b"x-user", b"ann")],
    }
    async with app.running():
        await call_asgi(
            app, scope, {"type": "http.request", "body": b"Hal", "more_body": True}, {"type": "http.disconnect"}
        )

    assert caplog.text == ""


@virtual_time
async def test_what_identify_raises_is_an_error_of_the_host(caplog: pytest.LogCaptureFixture) -> None:
    """Logged by its type and place; its text, which may quote a token, goes nowhere."""

    def identify(request: Any) -> Any:
        raise KeyError("token-4711")

    async with running_site(identify=identify) as site:
        for path in ("/api/agent/negotiate", "/api/index"):
            reply = await site().get(path)
            assert_error(reply, 500, "internal_error")
            assert "4711" not in reply.text

    assert "KeyError" in caplog.text
    assert "4711" not in caplog.text
