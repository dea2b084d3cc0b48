"""The shell around the REST API: sends requests, within time limits, again where that may help."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final, TypeVar

import httpx

from streamsink.backends.signalr.http_clients import HttpClients
from streamsink.backends.signalr.meter import Meter
from streamsink.backends.signalr.replies import ServiceError, no_answer, read_reply
from streamsink.backends.signalr.retries import Health, RetryPolicy
from streamsink.core.errors import ConnectionGoneError
from streamsink.core.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streamsink.backends.signalr.credentials import Credentials
    from streamsink.backends.signalr.rest import Request

__all__ = ["SignalRClient"]

_T = TypeVar("_T")

_log = logging.getLogger("streamsink")
_MAX_CONNECTIONS: Final = 64
_KEPT_S: Final = 60.0


class SignalRClient:
    """Calls Azure SignalR Service. Safe to be used from several event loops and threads at once.

    Args:
        credentials: prove who calls.
        policy: time limits and retries.
        transport: makes what carries the requests, once per event loop; None: the network.
        meter: counts what goes wrong.
        runtime: randomness.
        clock: rising seconds.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        policy: RetryPolicy | None = None,
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
        meter: Meter | None = None,
        runtime: Runtime | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._credentials = credentials
        self._policy = policy or RetryPolicy()
        self._transport = transport
        self._tls = httpx.create_ssl_context()  # reads files: once, and not when a first message waits
        self._http = HttpClients(self._make_http)
        self.meter: Meter = meter or Meter()
        self._runtime = runtime or Runtime()
        self.clock: Callable[[], float] = clock
        self._sleep = sleep
        self.health: Health = Health(clock)

    def _make_http(self) -> httpx.AsyncClient:
        """Redirects are not followed: they would take the token along."""
        return httpx.AsyncClient(
            transport=None if self._transport is None else self._transport(),
            verify=self._tls,
            timeout=self._policy.timeout_s,
            limits=httpx.Limits(
                max_connections=_MAX_CONNECTIONS,
                max_keepalive_connections=_MAX_CONNECTIONS,
                keepalive_expiry=_KEPT_S,
            ),
        )

    async def call(self, request: Request[_T]) -> _T:
        """What the service answers. What may pass is tried again, within the policy.

        Raises:
            ServiceError: it did not do it, or nobody knows.
            ConnectionGoneError: the connection that the request names is not there.
            UnavailableError: there is no token to be had, or this client is closed.
        """
        give_up_at = self.clock() + self._policy.patience_s
        tried = 0
        while True:
            tried += 1
            try:
                await self._wait(self.health.held_s, give_up_at)
                value = await self._answer(request)
            except ServiceError as error:
                await self._before_retry(request, error, tried, give_up_at)
            except ConnectionGoneError:
                self.health.succeeded(request.operation)
                raise
            else:
                self.health.succeeded(request.operation)
                return value

    async def _wait(self, wait_s: float, give_up_at: float) -> None:
        """Another call was told to wait: so do all, and do not come back in one moment."""
        if self.clock() + wait_s > give_up_at:
            message = f"Azure SignalR Service wants to be left alone for another {wait_s:.0f} s"
            raise ServiceError(message, "throttled", retry_after_s=wait_s)
        if wait_s > 0:
            await self._sleep(wait_s + self._runtime.jittered(self._policy.first_wait_s))

    async def _before_retry(self, request: Request[_T], error: ServiceError, tried: int, give_up_at: float) -> None:
        if error.fault == "throttled":
            self.meter.count("throttled")
            self.health.throttled(error)
        wait_s = self._policy.wait_s(tried, error, self._runtime.jittered)
        if wait_s is None or self.clock() + wait_s > give_up_at:
            self.meter.count("failed")
            self.health.failed(request.operation, error)
            raise error
        self.meter.count("retried")
        await self._sleep(wait_s)

    async def _answer(self, request: Request[_T]) -> _T:
        """Ask once; a second time with other credentials, where the first were refused and there are others."""
        token = await self._token(request)
        reply = await self._ask(request, token)
        if reply.status_code == 401 and token and self._credentials.refused(token):
            reply = await self._ask(request, await self._token(request))
        return read_reply(request.operation, reply.status_code, reply.headers, reply.content)

    async def _token(self, request: Request[_T]) -> str:
        return await self._credentials.rest_token(request.audience) if request.operation.needs_token else ""

    async def _ask(self, request: Request[_T], token: str) -> httpx.Response:
        headers = {**request.headers, **({"authorization": f"Bearer {token}"} if token else {})}
        http = self._http.get()
        try:
            async with asyncio.timeout(self._policy.timeout_s):
                return await http.request(request.method, request.url, headers=headers, content=request.content)
        except TimeoutError as error:
            raise no_answer(request.operation, f"not within {self._policy.timeout_s:g} s") from error
        except httpx.RequestError as error:
            raise no_answer(request.operation, type(error).__name__) from error

    async def aclose(self) -> None:
        """Close every connection; idempotent."""
        await self._http.aclose()
