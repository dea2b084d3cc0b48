"""Routes, keys, requests and answers, on a plain `FunctionApp`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import azure.functions as func
import httpx
import pytest

from tests.functions_platform import FunctionsPlatform, InProcessWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def create_app(fired: list[bool]) -> func.FunctionApp:
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route("show/{name}/{rest?}", methods=["GET", "POST"])
    def show(req: func.HttpRequest) -> func.HttpResponse:
        seen = {
            "method": req.method,
            "url": req.url.partition("/api/")[2],
            "header": req.headers.get("X-Seen"),
            "query": dict(req.params),
            "params": dict(req.route_params),
            "body": req.get_body().decode(),
        }
        return func.HttpResponse(json.dumps(seen), mimetype="application/json")

    @app.route("show/known")
    async def known(req: func.HttpRequest) -> str:
        return "known"

    @app.route("files/{*path}")
    async def files(req: func.HttpRequest) -> str:
        return str(req.route_params.get("path"))

    @app.route("cookies")
    async def cookies(req: func.HttpRequest) -> func.HttpResponse:
        response = func.HttpResponse(status_code=201, headers={"X-One": "1"})
        response.headers.add("Set-Cookie", "a=1=2; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax")
        response.headers.add("Set-Cookie", "b=2; Domain=example.org; Expires=Wed, 21 Oct 2026 07:28:00 GMT")
        return response

    @app.route("fail")
    async def fail(req: func.HttpRequest) -> func.HttpResponse:
        raise ValueError("a secret")

    @app.route("guarded", auth_level=func.AuthLevel.ADMIN)
    async def guarded(req: func.HttpRequest) -> str:
        return "master"

    @app.timer_trigger("timer", "0 * * * * *")
    async def tick(timer: func.TimerRequest) -> None:
        fired.append(timer.past_due)

    return app


@pytest.fixture
def fired() -> list[bool]:
    return []


@pytest.fixture
async def platform(fired: list[bool]) -> AsyncIterator[FunctionsPlatform]:
    async with FunctionsPlatform(InProcessWorker(create_app(fired))) as platform:
        yield platform


@pytest.fixture
async def http(platform: FunctionsPlatform) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=platform.url) as client:
        yield client


async def test_a_function_sees_the_request(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/show/a%3Fb/c?x=1&x=2&y=", content="text", headers={"X-Seen": "yes"})

    assert answer.json() == {
        "method": "POST",
        "url": "show/a?b/c?x=1&x=2&y=",
        "header": "yes",
        "query": {"x": "1,2"},
        "params": {"name": "a?b", "rest": "c"},
        "body": "text",
    }


async def test_the_route_with_fewer_parameters_comes_first(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/SHOW/known")).text == "known"
    assert (await http.get("/api/show/unknown")).json()["params"] == {"name": "unknown"}
    assert (await http.get("/api/files/a/b/c.js")).text == "a/b/c.js"


@pytest.mark.parametrize(("method", "path"), [("GET", "/show/x"), ("GET", "/api/nothing"), ("DELETE", "/api/show/x")])
async def test_another_path_or_method_is_not_found(http: httpx.AsyncClient, method: str, path: str) -> None:
    assert (await http.request(method, path)).status_code == 404


async def test_cookies_are_written_by_the_host(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/cookies")

    assert (answer.status_code, answer.headers["x-one"]) == (201, "1")
    assert answer.headers.get_list("set-cookie") == [
        "a=1%3D2; max-age=60; path=/; samesite=lax; secure; httponly",
        "b=2; expires=Wed, 21 Oct 2026 07:28:00 GMT; domain=example.org",
    ]


async def test_a_failure_says_nothing(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/fail")

    assert (answer.status_code, answer.text) == (500, "")


async def test_only_the_master_key_opens_what_is_for_administrators(
    http: httpx.AsyncClient, platform: FunctionsPlatform
) -> None:
    statuses = [
        (await http.get("/api/guarded", headers={"x-functions-key": key})).status_code
        for key in ("", platform.function_key, platform.master_key)
    ]

    assert statuses == [401, 401, 200]


async def test_a_timer_fires(platform: FunctionsPlatform, fired: list[bool]) -> None:
    await platform.fire("tick", past_due=True)

    assert fired == [True]
