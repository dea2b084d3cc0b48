"""Time limits, retries, waiting when told to, other keys, other loops."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest

from streamsink.backends.signalr.client import SignalRClient
from streamsink.backends.signalr.credentials import KeyCredentials
from streamsink.backends.signalr.replies import ServiceError
from streamsink.backends.signalr.rest import HubApi, message
from streamsink.backends.signalr.retries import RetryPolicy
from streamsink.backends.signalr.tokens import KeyRing
from streamsink.core.errors import ConnectionGoneError, UnavailableError
from streamsink.core.runtime import Runtime
from streamsink.testing.clock import virtual_runtime, virtual_time
from streamsink.testing.serving import serving

from .support import HOST, KEY, OTHER_KEY, Service, loop_clock, on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

API = HubApi(HOST, "chat")
SEND = API.send_to_group("a/b", message("m", b"1"))
JOIN = API.add_connection("g", "c")
NO_CHECKS: Any = {"verify_exp": False, "verify_aud": False, "verify_nbf": False, "verify_iat": False}


def credentials(*keys: str) -> KeyCredentials:
    return KeyCredentials(KeyRing([key.encode() for key in keys or (KEY,)], clock=lambda: 1_700_000_000))


@asynccontextmanager
async def client(
    service: Service, *keys: str, random: Callable[[], float] = lambda: 1.0, **policy: Any
) -> AsyncIterator[SignalRClient]:
    runtime = replace(virtual_runtime(), random=random)
    made = SignalRClient(credentials(*keys), policy=RetryPolicy(**policy), runtime=runtime, **on(service))
    try:
        yield made
    finally:
        await made.aclose()


def bearer(request: httpx.Request) -> str:
    return request.headers["authorization"].removeprefix("Bearer ")


@virtual_time
async def test_a_request_goes_out_as_it_was_built_with_a_token_for_its_address() -> None:
    service = Service()
    async with client(service) as it:
        await it.call(SEND)

    [request] = service.requests
    assert str(request.url) == SEND.url
    assert (request.method, request.content) == ("POST", b'{"target":"m","arguments":[1]}')
    assert request.headers["content-type"] == "application/json"
    options: Any = {"verify_exp": False}
    claims = jwt.decode(bearer(request), KEY, algorithms=["HS256"], audience=SEND.audience, options=options)
    assert claims["aud"] == f"{HOST}/api/hubs/chat/groups/a%2Fb/:send"


@virtual_time
async def test_health_is_asked_for_without_a_token() -> None:
    service = Service()
    async with client(service) as it:
        await it.call(API.health())

    assert "authorization" not in service.requests[0].headers


@pytest.mark.parametrize(
    "failure", [500, 502, 503, 504, 408, 429, httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.ReadError("x"),
                httpx.RemoteProtocolError("x")],
)  # fmt: skip
def test_what_may_pass_is_tried_again(failure: Any) -> None:
    @virtual_time
    async def check() -> None:
        service = Service()
        service.script(failure, failure, 202)
        async with client(service) as it:
            await it.call(SEND)

            assert len(service.requests) == 3
            assert len({bearer(request) for request in service.requests}) == 1  # the same second, the same token
            assert it.health.trouble == ""
            assert it.meter.measure()["retried"] == 2

    check()


@virtual_time
async def test_tries_are_bounded_and_further_apart_each_time() -> None:
    service = Service()
    times: list[float] = []

    def busy(_: httpx.Request) -> httpx.Response:
        times.append(loop_clock())
        return httpx.Response(503)

    service.script(*[busy] * 99)
    async with client(service, retries=5, first_wait_s=0.2, longest_wait_s=1.0) as it:
        with pytest.raises(ServiceError, match="503"):
            await it.call(SEND)

        assert [round(each, 2) for each in times] == [0, 0.2, 0.6, 1.4, 2.4, 3.4]
        assert it.meter.measure()["failed"] == 1
        assert "503" in it.health.trouble


@virtual_time
async def test_waits_are_jittered() -> None:
    service = Service()
    service.script(503)
    runtime = Runtime(random=lambda: 0.0)
    it = SignalRClient(credentials(), policy=RetryPolicy(first_wait_s=1.0), runtime=runtime, **on(service))
    await it.call(SEND)
    await it.aclose()

    assert loop_clock() == 0.5


@virtual_time
async def test_a_silent_service_costs_no_more_than_the_patience() -> None:
    service = Service(delay_s=1_000)
    async with client(service, timeout_s=3, retries=99, patience_s=10) as it:
        with pytest.raises(ServiceError, match="not within 3 s"):
            await it.call(SEND)

        assert 9 < loop_clock() < 13


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 301, 307])
def test_what_cannot_pass_is_not_tried_again(status: int) -> None:
    @virtual_time
    async def check() -> None:
        service = Service()
        service.script(httpx.Response(status, headers={"location": "https://evil.test/"}))
        async with client(service) as it:
            with pytest.raises(ServiceError, match=str(status)):
                await it.call(SEND)

            assert len(service.requests) == 1  # and no redirect is followed: it would take the token along
            assert bool(it.health.trouble) == (status not in (400, 413))

    check()


@virtual_time
async def test_retry_after_is_waited_for_by_every_call() -> None:
    service = Service()
    service.script(httpx.Response(429, headers={"retry-after": "4"}))
    async with client(service, random=Random(7).random) as it:
        times = await asyncio.gather(finished(it, SEND), *[later(1, finished(it, JOIN)) for _ in range(20)])

        assert all(4 < at <= 4.2 for at in times)
        assert len(set(times)) > 10  # they do not come back in one moment
        assert it.meter.measure()["throttled"] == 1


async def finished(it: SignalRClient, request: Any) -> float:
    await it.call(request)
    return loop_clock()


async def later(seconds: float, work: Awaitable[float]) -> float:
    await asyncio.sleep(seconds)
    return await work


@virtual_time
async def test_a_service_that_wants_rest_for_long_is_left_alone_and_callers_do_not_wait() -> None:
    service = Service()
    service.script(httpx.Response(429, headers={"retry-after": "86400"}))
    async with client(service) as it:
        for _ in range(3):
            with pytest.raises(ServiceError, match=r"quota|left alone"):
                await it.call(SEND)
        assert (loop_clock(), len(service.requests)) == (0, 1)
        assert it.meter.measure()["failed"] == 3

        await asyncio.sleep(61)
        await it.call(SEND)  # nobody is locked out for a day
        assert it.health.trouble == ""


@virtual_time
async def test_the_second_key_is_used_when_the_first_is_refused() -> None:
    service = Service()

    def only_the_other(request: httpx.Request) -> httpx.Response:
        try:
            jwt.decode(bearer(request), OTHER_KEY, algorithms=["HS256"], options=NO_CHECKS)
        except jwt.InvalidSignatureError:
            return httpx.Response(401)
        return httpx.Response(202)

    service.script(*[only_the_other] * 4)
    async with client(service, KEY, OTHER_KEY) as it:
        await it.call(SEND)
        await it.call(SEND)

    assert len(service.requests) == 3  # the second call begins with the key that works


@virtual_time
async def test_two_wrong_keys_end_in_an_error() -> None:
    service = Service()
    service.script(401, 401, 401)
    async with client(service, KEY, OTHER_KEY) as it:
        with pytest.raises(ServiceError, match="credentials"):
            await it.call(SEND)

    assert len(service.requests) == 2


@virtual_time
async def test_a_connection_that_is_gone_is_not_the_services_failure() -> None:
    service = Service()
    service.script(httpx.Response(404, headers={"x-ms-error-code": "Error.Connection.NotExisted"}))
    async with client(service) as it:
        with pytest.raises(ConnectionGoneError):
            await it.call(JOIN)

        assert (it.health.trouble, it.health.is_proven, it.meter.measure()["failed"]) == ("", True, 0)


@virtual_time
async def test_a_cancelled_call_leaves_nothing_behind() -> None:
    service = Service(delay_s=2)
    async with client(service) as it:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await it.call(SEND)
        await it.call(SEND)


async def test_a_closed_client_says_so() -> None:
    service = Service()
    async with client(service) as it:
        await it.aclose()
        with pytest.raises(UnavailableError, match="closed"):
            await it.call(SEND)


@pytest.mark.service
async def test_connections_are_kept_and_shared() -> None:
    peers: set[int] = set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        peers.add(scope["client"][1])
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with serving(app) as url:
        it = SignalRClient(credentials())
        for _ in range(10):
            await it.call(HubApi(url, "chat").send_to_all(b"{}"))
        await it.aclose()

    assert len(peers) == 1


@pytest.mark.service
async def test_a_service_that_is_not_there_is_said() -> None:
    it = SignalRClient(credentials(), policy=RetryPolicy(retries=1, first_wait_s=0.01))
    with pytest.raises(ServiceError, match="ConnectError"):
        await it.call(HubApi("http://127.0.0.1:1", "chat").health())
    await it.aclose()


async def test_each_event_loop_has_connections_of_its_own() -> None:
    """Azure Functions runs an agent on another thread's loop than the HTTP routes; either may close the sink."""
    service = Service()
    made: list[int] = []

    def transport() -> httpx.MockTransport:
        made.append(threading.get_ident())
        return service.transport()

    it = SignalRClient(credentials(), transport=transport)
    with OtherLoop() as other:
        for _ in range(2):
            await it.call(SEND)
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(it.call(SEND), other.loop))
        await it.aclose()

    assert len(service.requests) == 4
    assert made == [threading.get_ident(), other.thread.ident]


async def test_a_loop_that_has_ended_does_not_hold_up_the_end() -> None:
    service = Service()
    it = SignalRClient(credentials(), transport=service.transport)
    with OtherLoop() as other:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(it.call(SEND), other.loop))

    await it.aclose()
    await it.aclose()


class OtherLoop:
    """An event loop on another thread."""

    def __enter__(self) -> OtherLoop:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
