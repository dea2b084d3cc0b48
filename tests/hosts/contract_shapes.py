"""The contract: what is not a call, or not a proper one, gets a clear answer in the one shape of errors."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from streamsink.core.errors import UnavailableError
from streamsink.core.settings import Limits, Settings

from .contract_checking import PLENTY, assert_error

if TYPE_CHECKING:
    import httpx

    from .contract_checking import Check, MakeSite
    from .support import Site

HOSTILE = (
    "",
    " ",
    ".",
    "..",
    "../other",
    "a/b",
    "/",
    "a?op=reset",
    "a#b",
    "a%2Fb",
    "a\\b",
    "a..b",
    "a b",
    "a\nb",
    "\x00",
    "größe",
    "👩‍🚀",
    "x" * 4_000,  # servers bound a request line before we see it
)
JSON = {"content-type": "application/json"}


def assert_refused(reply: httpx.Response, value: Any) -> None:
    """Some 4xx that says why, and does not send back what it was sent."""
    assert 400 <= reply.status_code < 500, (reply.status_code, value)
    message = assert_error(reply, reply.status_code)
    assert len(message) < 400


async def hostile_thread_ids_are_refused(make: MakeSite) -> None:
    """In queries, bodies and paths, on every call; also for those who may use any thread."""
    async with make(settings=PLENTY) as site:
        for user in ("ann", "office"):
            client = site(user)
            for value in (*HOSTILE, 5, True, ["t"], {"t": 1}):
                group = {"group": value, "connectionId": "c"}
                for call in ("join-group", "leave-group"):
                    assert_refused(await client.post(f"/api/agent/{call}", json=group), value)
                body = {"message": "Hi", "session_id": value}
                assert_refused(await client.post("/api/agents/Robot/run", json=body), value)
            for value in HOSTILE:
                for call in ("run", "cancel", "approve"):
                    url = f"/api/agents/Robot/{call}"
                    reply = await client.post(url, params={"thread_id": value}, json={"message": "Hi"})
                    assert_refused(reply, value)
                for path in (quote(value, safe=""), value.replace(".", "%2e").replace("/", "%2f")):
                    if path.isascii() and path.isprintable() and not set("?#") & set(path):
                        assert_refused(await client.get(f"/api/agent/threads/{path}/events"), value)
                        assert_refused(await client.delete(f"/api/agent/threads/{path}"), value)


async def hostile_names_are_refused(make: MakeSite) -> None:
    """Agents, runs, connections, requests and keys."""
    async with make(settings=PLENTY) as site:
        thread, client = await site.thread(), site()
        query = {"thread_id": thread}
        for value in HOSTILE:
            join = {"group": thread, "connectionId": value}
            assert_refused(await client.post("/api/agent/join-group", json=join), value)
            assert_refused(await client.post("/api/agent/leave-group", json=join), value)
            cancel = await client.post("/api/agents/Robot/cancel", params={**query, "correlation_id": value})
            assert_refused(cancel, value)
            answer = {"approvalId": value, "approved": True}
            assert_refused(await client.post("/api/agents/Robot/approve", params=query, json=answer), value)
            agent = quote(value, safe="")
            reply = await client.post(f"/api/agents/{agent}/run", params=query, json={"message": "Hi"})
            if value == "..":  # a server may resolve it before we see it
                assert reply.status_code == 404
            else:
                assert_refused(reply, value)
        for key in ("", "a b", "x" * 256, "gr\xfc\xdfe"):
            headers = {b"idempotency-key": key.encode("latin-1")}
            reply = await client.post("/api/agents/Robot/run", params=query, json={"message": "Hi"}, headers=headers)
            assert_refused(reply, key)

        assert await site.events(thread) == []


async def an_unknown_agent_is_named(make: MakeSite) -> None:
    async with make() as site:
        for call in ("run", "cancel", "approve"):
            reply = await site().post(f"/api/agents/Nobody/{call}?thread_id=t", json={"message": "Hi"})
            assert "Robot" in assert_error(reply, 404, "not_found")


async def bodies_are_json_objects(make: MakeSite) -> None:
    async with make() as site:
        thread = await site.thread()
        urls = ("join-group", "leave-group")
        run = f"/api/agents/Robot/run?thread_id={thread}"
        for body in (b"{", b"[]", b'"x"', b"5", b"null", b"{\xff}", b'{"a":\xff"}', b"[" * 100_000, b'{"a":' * 50_000):
            for url in (*(f"/api/agent/{url}" for url in urls), run):
                assert_error(await site().post(url, content=body, headers=JSON), 400, "invalid_request")
        lone = b'{"message": "\\ud800"}'
        assert (await site().post(run, content=lone, headers=JSON)).status_code in (200, 400)


async def bodies_are_bounded(make: MakeSite) -> None:
    """Whether their length is declared or not; what is refused is not understood first."""
    async with make(settings=Settings(limits=Limits(max_body_bytes=1_024))) as site:

        async def chunks() -> Any:
            for _ in range(100):
                yield b"x" * 100

        for url in ("/api/agent/join-group", "/api/agents/Robot/run"):
            assert_error(await site().post(url, content=b"x" * 1_025), 413, "too_large")
            async with aclosing(chunks()) as body:
                assert_error(await site().post(url, content=body), 413, "too_large")


async def unknown_paths_are_not_found(make: MakeSite) -> None:
    async with make() as site:
        await assert_unknown(site, "/api/agent", "/api/agents/Robot", "/api/agent/threads/", "/api/agent/x")


async def assert_unknown(site: Site, *paths: str) -> None:
    """There is nothing at these paths, whatever the method."""
    for path in paths:
        for method in ("GET", "POST", "DELETE"):
            assert_error(await site().request(method, path, follow_redirects=False), 404, "not_found")


async def wrong_methods_are_refused(make: MakeSite) -> None:
    async with make() as site:
        calls = [
            ("GET", "/api/agent/create-thread"),
            ("GET", "/api/agents/Robot/run"),
            ("PUT", "/api/agent/threads/t"),
            ("GET", "/api/agent/threads/t"),
            ("POST", "/api/agent/threads/t/events"),
            ("DELETE", "/api/health"),
            ("POST", "/api/index"),
            ("PATCH", "/api/agent/join-group"),
        ]
        for method, path in calls:
            assert_error(await site().request(method, path), 405, "method_not_allowed")
        refused = await site().delete("/api/agent/negotiate")
        assert refused.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def the_platform_can_ask(make: MakeSite) -> None:
    """Alive and able to deliver; and why it is not."""
    async with make() as site:
        assert (await site(None).get("/api/health")).json() == {"status": "ok"}
        assert (await site(None).get("/api/ready")).json() == {"status": "ready"}

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(site.sink, "check", _broken)
            assert "the store" in assert_error(await site(None).get("/api/ready"), 503, "unavailable")
            assert (await site(None).get("/api/health")).status_code == 200


async def _broken() -> None:
    raise UnavailableError("the store cannot be reached")


async def a_backend_that_hangs_is_not_ready(make: MakeSite) -> None:
    async with make() as site:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(site.sink, "check", asyncio.Event().wait)

            assert_error(await site(None).get("/api/ready"), 503, "unavailable")


async def the_page_is_served(make: MakeSite) -> None:
    """With headers that allow it nothing that it does not need; unchanged, it is not sent again."""
    async with make() as site:
        page = await site().get("/api/index")

        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert page.headers["x-content-type-options"] == "nosniff"
        assert 'content="Robot"' in page.text
        script = await site().get("/api/static/app.js")
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        again = await site().get("/api/static/app.js", headers={"if-none-match": script.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def only_files_of_the_page_are_served(make: MakeSite) -> None:
    async with make() as site:
        for path in ("..%2f__init__.py", "/etc/passwd", "%2fetc%2fpasswd", "nothing.js", "client", ""):
            assert_error(await site().get(f"/api/static/{path}"), 404, "not_found")
        # A server may resolve this before we see it.
        assert (await site().get("/api/static/%2e%2e/cli.py")).status_code == 404
        assert "npm" in assert_error(await site().get("/api/static/vendor/nothing.js"), 404)


CHECKS: tuple[Check, ...] = (
    hostile_thread_ids_are_refused,
    hostile_names_are_refused,
    an_unknown_agent_is_named,
    bodies_are_json_objects,
    bodies_are_bounded,
    unknown_paths_are_not_found,
    wrong_methods_are_refused,
    the_platform_can_ask,
    a_backend_that_hangs_is_not_ready,
    the_page_is_served,
    only_files_of_the_page_are_served,
)
