"""What ``streamsink doctor`` looks at with two real clients of a service."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from itertools import count
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec

from streamsink.backends.gateway.negotiate import client_url
from streamsink.backends.signalr.replies import ServiceError
from streamsink.backends.signalr.rest import message
from streamsink.core.checks import Check, Doubt
from streamsink.core.delivery import ConnectInfo
from streamsink.core.errors import MissingExtraError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Self

    from streamsink.backends.gateway.client import SignalRClient
    from streamsink.backends.signalr.probe import Probe
    from streamsink.backends.signalr.rest import Request

__all__ = ["ClientChecks"]

_TARGET: Final = "doctor"
_MESSAGES: Final = 20
_WAIT_S: Final = 10.0
_KNOWN_WITHIN_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.1

_OPEN: Final = "is the service in serverless mode, do a firewall or its access rules let WebSockets through?"
_THEIRS: Final = "this matters only with Entra ID: the identity needs SignalR REST API Owner or SignalR Service Owner"
_GROUPS: Final = "unless that says why: this backend was built to another answer; please report it, with this line"
_LOST: Final = "messages are lost between the service and its clients: look at its metrics and quota; then report it"


class ClientChecks:
    """Connects two clients of one user, and says what they see.

    Args:
        probe: asks the service.
        name: of the group, and of the user.
        max_event_bytes: the largest that a deployment sends.
    """

    def __init__(self, probe: Probe, name: str, max_event_bytes: int) -> None:
        self._probe = probe
        self._api = probe.api
        self._name = name
        self._max_event_bytes = max_event_bytes
        self._stack = AsyncExitStack()
        self._clients: list[SignalRClient] = []
        self._numbers = count(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    def all(self) -> list[Check]:
        """The checks, in their order."""
        joined = ("groups",)
        return [
            Check(name="client tokens", look=self.tokens, advice=_OPEN, needs=("credentials",)),
            Check(name="the service's tokens", look=self.their_tokens, advice=_THEIRS, needs=("client tokens",)),
            Check(name="clients", look=self.clients, advice=_OPEN, needs=("client tokens",)),
            Check(name="groups", look=self.groups, advice=_GROUPS, needs=("clients",)),
            Check(name="messages", look=self.messages, advice=_LOST, needs=joined),
            Check(name="largest event", look=self.largest, advice="lower STREAM_MAX_EVENT_BYTES", needs=joined),
            Check(name="user and connection", look=self.others, advice=_LOST, needs=joined),
            Check(name="leaving", look=self.leaving, advice=_GROUPS, needs=joined),
            Check(name="closing", look=self.closing, advice=_GROUPS, needs=("clients",)),
        ]

    async def tokens(self) -> str:
        offered = await self._offered(await self._probe.client_token(self._name))
        if "WebSockets" not in offered:
            raise UnavailableError("negotiate offers no WebSockets")
        return f"negotiate offers {', '.join(offered)}"

    async def their_tokens(self) -> str:
        """What Entra ID needs; with access keys this shows only that it would work."""
        await self._offered(await self._probe.ask(self._api.generate_token(self._name, minutes=5)))
        return "accepted at negotiate"

    async def _offered(self, token: str) -> list[str]:
        reply = await self._negotiate(token)
        if reply.status_code != 200:
            raise UnavailableError(f"negotiate was answered with {reply.status_code}")
        return [str(each.get("transport")) for each in _object(reply.content).get("availableTransports") or ()]

    async def _negotiate(self, token: str) -> httpx.Response:
        base, _, query = self._url.partition("?")
        url = f"{base.rstrip('/')}/negotiate?{query}&negotiateVersion=1"
        async with httpx.AsyncClient(timeout=_WAIT_S) as http:
            try:
                return await http.post(url, headers={"authorization": f"Bearer {token}"})
            except httpx.RequestError as error:
                raise UnavailableError(f"clients cannot negotiate: {type(error).__name__}") from error

    @property
    def _url(self) -> str:
        return client_url(self._probe.service.client_endpoint, self._api.hub)

    async def clients(self) -> str:
        began = time.monotonic()
        for _ in range(2):
            await self._connect()
        took = time.monotonic() - began
        ids = [client.connection_id for client in self._clients]
        late_s = await self._until(lambda: self._all_known(ids))
        return f"two over WebSockets, {_ms(took / 2)} each; the service knows them after {_ms(late_s)}"

    async def _connect(self) -> None:
        try:
            from streamsink.backends.gateway.client import signalr_client
        except ModuleNotFoundError as error:
            raise MissingExtraError("a client", "asgi") from error
        info = ConnectInfo(self._url, await self._probe.client_token(self._name))
        try:
            client = await self._stack.enter_async_context(signalr_client(info))
        except httpx.HTTPStatusError as error:
            raise UnavailableError(f"negotiate was answered with {error.response.status_code}") from error
        except Exception as error:  # of the WebSocket library, which has many; some quote the URL, with its token
            raise UnavailableError(f"a client cannot connect: {type(error).__name__}") from error
        self._clients.append(client)

    async def _all_known(self, ids: list[str]) -> bool:
        known = [await self._probe.ask(self._api.connection_exists(each)) for each in ids]
        return all(known) and await self._probe.ask(self._api.user_exists(self._name))

    async def groups(self) -> str:
        for client in self._clients:
            await self._probe.ask(self._api.add_connection(self._name, client.connection_id))
        late_s = await self._until(self._both_listed)
        return f"both are members, and listed after {_ms(late_s)}, in pages of one"

    async def _both_listed(self) -> bool:
        is_there = await self._probe.ask(self._api.group_exists(self._name))
        return is_there and set(await self._members()) == {client.connection_id for client in self._clients}

    async def _members(self) -> list[str]:
        found: list[str] = []
        page: str | None = None
        while True:
            ids, page = await self._probe.ask(self._api.members(self._name, page=page, page_size=1))
            found += ids
            if page is None or len(found) > 2 * len(self._clients):
                return found

    async def messages(self) -> str | Doubt:
        """As the backend sends a run: each when the one before was accepted."""
        began = len(self._probe.times)
        numbers, delays = [], []
        for _ in range(_MESSAGES):
            sent_at = time.monotonic()
            numbers.append(await self._send(self._api.send_to_group, self._name))
            for client in self._clients:
                await self._received(client, numbers[-1])
            delays.append(time.monotonic() - sent_at)
        calls = self._probe.times[began:]
        text = (
            f"{_MESSAGES} arrived at both; a call takes {_ms(median(calls))} ({_ms(max(calls))} at most), a client has "
            f"it after {_ms(median(delays))}"
        )
        burst = [await self._send(self._api.send_to_group, self._name) for _ in range(_MESSAGES)]
        for client in self._clients:
            await self._received(client, burst[-1], among=burst)
        in_order = all([each for each in _numbers(client) if each in burst] == burst for client in self._clients)
        if in_order:
            return f"{text}; {_MESSAGES} in a row came in order"
        return Doubt(f"{text}; {_MESSAGES} in a row came out of order", "clients put them in order; nothing is lost")

    async def largest(self) -> str:
        padding = "x" * (self._max_event_bytes - 100)
        number = await self._send(self._api.send_to_group, self._name, padding)
        await self._received(self._clients[0], number)
        return f"{self._max_event_bytes} bytes arrive"

    async def others(self) -> str:
        first, second = self._clients
        to_user = await self._send(self._api.send_to_user, self._name)
        to_one = await self._send(self._api.send_to_connection, first.connection_id)
        await self._received(first, to_user)
        await self._received(second, to_user)
        await self._received(first, to_one)
        return "messages to them arrive"

    async def leaving(self) -> str:
        first, second = self._clients
        await self._probe.ask(self._api.remove_connection(self._name, second.connection_id))
        number = await self._send(self._api.send_to_group, self._name)
        await self._received(first, number)
        after = await self._send(self._api.send_to_user, self._name)
        await self._received(second, after)
        if number in _numbers(second):
            raise UnavailableError("who has left receives on")
        return "who has left receives nothing more"

    async def closing(self) -> str:
        client = self._clients[-1]
        if not await self._probe.ask(self._api.close_connection(client.connection_id, reason=_TARGET)):
            raise UnavailableError("the service does not know a connection that is open")
        try:
            await client.ended(timeout_s=_WAIT_S)
        except TimeoutError as error:
            raise UnavailableError(f"a closed connection is open after {_WAIT_S:g} s") from error
        back = (client.closed or {}).get("allowReconnect")
        return f"closed; the client was {'asked to come back' if back else 'not asked to come back'}"

    async def _send(self, to: Callable[[str, bytes], Request[None]], whom: str, padding: str = "") -> int:
        number = next(self._numbers)
        content = message(_TARGET, msgspec.json.encode({"n": number, "padding": padding}))
        await self._probe.ask(to(whom, content))
        return number

    async def _received(self, client: SignalRClient, number: int, *, among: list[int] | None = None) -> None:
        wanted = set(among or [number])
        try:
            async with asyncio.timeout(_WAIT_S):
                while not wanted <= set(_numbers(client)):
                    await client.until(len(client.received) + 1)
        except TimeoutError as error:
            missing = len(wanted - set(_numbers(client)))
            raise UnavailableError(f"{missing} of {len(wanted)} did not arrive within {_WAIT_S:g} s") from error

    async def _until(self, holds: Callable[[], Awaitable[bool]]) -> float:
        """How long it took; a service of many machines may know a moment later."""
        began = time.monotonic()
        while not await holds():
            if time.monotonic() - began > _KNOWN_WITHIN_S:
                raise ServiceError(f"the service does not say so within {_KNOWN_WITHIN_S:g} s", "service")
            await asyncio.sleep(_LOOK_EVERY_S)
        return time.monotonic() - began


def _numbers(client: SignalRClient) -> list[int]:
    return [event.data["n"] for event in client.received if event.target == _TARGET]


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict):
        raise UnavailableError("negotiate was answered with something that is not JSON")
    return found


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
