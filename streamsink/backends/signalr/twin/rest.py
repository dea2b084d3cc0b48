"""The data-plane REST API as a plain ASGI application."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamsink.backends.gateway.http import Reply, Request, Scope, read_body
from streamsink.backends.signalr.twin.carrier import Carrier
from streamsink.backends.signalr.twin.operations import Operation, Send
from streamsink.backends.signalr.twin.payload import MAX_BODY_BYTES, MAX_HEADER_BYTES, invalid
from streamsink.backends.signalr.twin.problems import INVALID_REQUEST, ServiceError, problem_reply
from streamsink.backends.signalr.twin.requests import Asked, operation_of
from streamsink.backends.signalr.twin.routes import Kind, Route, find_route
from streamsink.core.errors import StreamSinkError, UnavailableError

if TYPE_CHECKING:
    from streamsink.backends.gateway.session import Receive
    from streamsink.backends.signalr.twin.data_plane import DataPlane
    from streamsink.backends.signalr.twin.faults import Failure, Faults, Plan
    from streamsink.backends.signalr.twin.tokens import ServiceTokens

__all__ = ["RestApi", "failure_reply"]


class RestApi:
    """Answers requests.

    Args:
        data_plane: does what is asked.
        tokens: verify what callers show.
        faults: what goes wrong.

    Attributes:
        is_draining: whether everything is refused with 503.
    """

    def __init__(self, data_plane: DataPlane, *, tokens: ServiceTokens, faults: Faults) -> None:
        self._data_plane = data_plane
        self._tokens = tokens
        self._faults = faults
        self._carrier = Carrier(data_plane.perform, faults)
        self.is_draining: bool = False

    async def answer(self, scope: Scope, receive: Receive) -> Reply | None:
        """The answer to a request; None: break its connection."""
        path = raw_path(scope)
        is_old = path.startswith("/api/v1/")
        try:
            reply = await self._answer(Request.of(scope), path, scope, receive)
        except StreamSinkError as error:
            reply = problem_reply(error, is_old=is_old)
        if reply is not None and scope["method"] == "HEAD":
            return replace(reply, body=b"")
        return reply

    async def _answer(self, request: Request, path: str, scope: Scope, receive: Receive) -> Reply | None:
        _check_headers(scope)
        route = find_route(request.method, path)
        if route.needs_token:
            self._tokens.check_call(_bearer(request), path)
        if self.is_draining:
            raise UnavailableError("The service is going away; try again.")
        # What is no message has no body: an SDK may send an empty one.
        body = await read_body(receive, MAX_BODY_BYTES) if route.kind is Kind.SEND else b""
        asked = Asked(route, path, request.query, request.headers.get("content-type", ""), body)
        return await self._perform(route, operation_of(asked))

    async def _perform(self, route: Route, operation: Operation) -> Reply | None:
        plan = self._faults.draw(route.kind.value)
        if plan.delay_s:
            await self._faults.sleep(plan.delay_s)
        if plan.failure is not None and not plan.failure.after:
            return failure_reply(plan.failure, is_old=route.is_old)
        found = self._carry_out(operation, plan)
        if plan.failure is not None:
            return failure_reply(plan.failure, is_old=route.is_old)
        return Reply(route.status) if found is None else Reply.json(found)

    def _carry_out(self, operation: Operation, plan: Plan) -> dict[str, Any] | None:
        if isinstance(operation, Send):
            try:
                self._carrier.carry(operation, plan)
            except OverflowError:
                raise invalid("The arguments have a number that clients' protocol cannot carry.") from None
            return None
        return self._data_plane.perform(operation)

    async def aclose(self) -> None:
        """Refuse everything, and forget what is held back."""
        self.is_draining = True
        await self._carrier.aclose()


def raw_path(scope: Scope) -> str:
    """The path as it came, percent-encoded."""
    raw: bytes = scope["raw_path"]
    return raw.partition(b"?")[0].decode("latin-1")


def failure_reply(failure: Failure, *, is_old: bool) -> Reply | None:
    """The answer of an injected failure; None: break the connection."""
    if failure.status is None:
        return None
    headers = {} if failure.retry_after_s is None else {"retry-after": str(failure.retry_after_s)}
    return problem_reply(ServiceError(failure.status, "", "The twin was told to fail.", headers), is_old=is_old)


def _check_headers(scope: Scope) -> None:
    # Each line has a colon, a space and its end.
    if sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > MAX_HEADER_BYTES:
        raise ServiceError(431, INVALID_REQUEST, "The headers are too long.")


def _bearer(request: Request) -> str:
    """The token of the header: a REST caller can set one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
