"""The API around its calls, without a host."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streamsink.core.errors import ConflictError, ForbiddenError
from streamsink.core.identity import Request, User
from streamsink.core.limits import RateLimiter
from streamsink.core.origins import Origins
from streamsink.hosts.api import Api, PublicRoute, Route
from streamsink.hosts.http import Call, Reply, json_reply

if TYPE_CHECKING:
    import pytest

    from streamsink.core.identity import Identify

BASE = "https://host.test"
ANN = User(subject="ann", response_headers=(("set-cookie", "x=1"),))


def api(identify: Identify = lambda request: ANN, *, per_minute: int = 100) -> Api:
    return Api([], identify=identify, origins=Origins(), limiter=RateLimiter(per_minute, lambda: 0.0))


def call(**headers: str) -> Call:
    return Call(request=Request(method="GET", path="/", headers=headers), base_url=BASE)


async def greets(call: Call, user: User) -> Reply:
    return json_reply(user.subject)


def route(handler: Any = greets) -> Route:
    return Route(method="GET", path="/", handler=handler)


def code(reply: Reply) -> str:
    return str(json.loads(reply.body)["error"]["code"])


async def test_the_callers_cookie_goes_with_every_answer() -> None:
    """Also with an error: whoever came without it would otherwise be somebody else each time."""

    async def refuses(call: Call, user: User) -> Reply:
        raise ConflictError("no")

    for handler, status in ((greets, 200), (refuses, 409)):
        reply = await api().answer(route(handler), call())
        assert reply.status == status
        assert ("set-cookie", "x=1") in reply.headers


async def test_identify_may_be_a_coroutine_function() -> None:
    async def identify(request: Request) -> User | None:
        return ANN

    assert (await api(identify).answer(route(), call())).body == b'"ann"'


async def test_what_identify_refuses_is_refused() -> None:
    def identify(request: Request) -> User:
        raise ForbiddenError("this ticket has expired")

    assert code(await api(identify).answer(route(), call())) == "forbidden"


async def test_anybody_may_make_a_public_call() -> None:
    """Nobody is asked who they are, and it costs no one's rate."""

    def identify(request: Request) -> User:
        raise AssertionError

    async def health(call: Call) -> Reply:
        return json_reply("ok")

    public = PublicRoute(method="GET", path="/", handler=health)
    reply = await api(identify, per_minute=1).answer(public, call(origin="https://evil.example"))

    assert reply.status == 200
    assert ("access-control-allow-origin", "https://evil.example") not in reply.headers


async def test_a_bug_of_a_call_is_an_error_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks(call: Call, user: User) -> Reply:
        raise ZeroDivisionError("secret-4711")

    reply = await api().answer(route(breaks), call())

    assert (reply.status, code(reply)) == (500, "internal_error")
    assert b"4711" not in reply.body
    assert "ZeroDivisionError" in caplog.text
    assert "4711" not in caplog.text


async def test_the_origin_is_checked_before_anything_else() -> None:
    asked: list[Request] = []

    def identify(request: Request) -> None:
        asked.append(request)

    assert code(await api(identify).answer(route(), call(origin="https://evil.example"))) == "forbidden"
    assert asked == []
