"""What the hosts' tests share: scripted agents, a host without a port, and callers who have names."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
from agent_framework import Agent

from streamsink.core.errors import UnauthenticatedError
from streamsink.core.identity import Request, User
from streamsink.core.settings import Settings
from streamsink.demo.scripted import Script, ScriptedChatClient, Text, in_turn
from streamsink.hosts.asgi import StreamApp
from streamsink.opening import open_sink
from streamsink.testing.clock import virtual_runtime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence

    from agent_framework import Message

    from streamsink.core.identity import Authorize, Identify
    from streamsink.core.sink import StreamSink
    from streamsink.demo.scripted import Reply
    from streamsink.hosts.sessions import Sessions

BASE = "http://host.test"
NO_WAIT = {"x-wait-for-response": "false"}


async def no_sleep(seconds: float) -> None:
    """The scripted model speaks at once."""


def make_agent(
    script: Script | str = "Hello there", *, name: str = "Robot", tools: Sequence[Any] = (), token_s: float = 0
) -> Agent[Any]:
    """A real agent whose model says what the script says; a text is said every time.

    Args:
        token_s: seconds of virtual time for a token.
    """
    said = _always(script) if isinstance(script, str) else script
    numbers = count(1)
    client = ScriptedChatClient(
        said,
        token_interval_s=token_s,
        sleep=asyncio.sleep if token_s else no_sleep,
        new_id=lambda: f"{name}-{next(numbers)}",
    )
    return Agent(client=client, name=name, tools=list(tools))


def _always(text: str) -> Script:
    return lambda messages, options: [Text(text)]


class Model:
    """A script that remembers what it was told.

    Args:
        replies: one for each call.
    """

    def __init__(self, *replies: Reply) -> None:
        self._script = in_turn(*replies)
        self.heard: list[list[str]] = []
        self.messages: list[list[Message]] = []

    def __call__(self, messages: Sequence[Message], options: Mapping[str, Any]) -> Reply:
        self.heard.append([f"{message.role}: {message.text}" for message in messages])
        self.messages.append(list(messages))
        return self._script(messages, options)


class Gate:
    """A place in a reply where it is held: ``Pause(gate)``."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self.opened.wait()


def named(request: Request) -> User | None:
    """The caller is whoever the header ``x-user`` names; nobody without it."""
    name = request.headers.get("x-user")
    if name == "raise":
        raise UnauthenticatedError("this token has expired")
    return None if name is None else User(subject=name, is_service=name == "office")


@dataclass
class Site:
    """A running host, seen from outside.

    Attributes:
        sink: its sink, to look behind the scenes.
        open_client: a client without credentials.
    """

    sink: StreamSink
    open_client: Callable[..., httpx.AsyncClient]
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    def __call__(self, user: str | None = "ann") -> httpx.AsyncClient:
        """That user's client; None: nobody's."""
        if (user or "") not in self.clients:
            self.clients[user or ""] = self.open_client(headers={} if user is None else {"x-user": user})
        return self.clients[user or ""]

    async def thread(self, user: str = "ann") -> str:
        """A fresh thread of that user's."""
        return str((await self(user).post("/api/agent/create-thread")).json()["thread_id"])

    async def run(
        self, thread: str, message: str = "Hi", *, agent: str = "Robot", user: str = "ann", **headers: str
    ) -> httpx.Response:
        """Ask, without waiting for the answer."""
        named_headers = {**NO_WAIT, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self(user).post(
            f"/api/agents/{agent}/run",
            params={"thread_id": thread},
            json={"message": message},
            headers=named_headers,
        )

    async def ask(self, thread: str, message: str = "Hi", *, agent: str = "Robot") -> str:
        """Ask, and wait for the answer."""
        reply = await self.run(thread, message, agent=agent, x_wait_for_response="true")
        assert reply.status_code == 200, reply.text
        return str(reply.json()["response"])

    async def events(self, thread: str) -> list[tuple[str, dict[str, Any]]]:
        """The whole timeline."""
        return await events_of(self.sink, thread)

    async def done(self, thread: str, count: int = 1) -> list[tuple[str, str | None]]:
        """How the thread's runs ended, once so many have; status and error code of each."""
        return await ends_of(self.sink, thread, count)


@asynccontextmanager
async def running_site(
    *agents: Any,
    settings: Settings | None = None,
    identify: Identify | None = named,
    authorize: Authorize | None = None,
    sessions: Sessions | None = None,
    wrap: Callable[[StreamApp], Any] = lambda app: app,
    **client_options: Any,
) -> AsyncIterator[Site]:
    """The ASGI host on virtual time, without a port.

    Args:
        agents: one that greets, unless given.
        wrap: puts the app into another.
    """
    settings = settings or Settings()
    async with open_sink(settings, environ={}, runtime=virtual_runtime()) as sink:
        app = StreamApp(
            list(agents) or [make_agent()],
            settings=settings,
            identify=identify,
            authorize=authorize,
            sink=sink,
            sessions=sessions,
        )
        transport = httpx.ASGITransport(wrap(app), raise_app_exceptions=True)

        def open_client(**options: Any) -> httpx.AsyncClient:
            return httpx.AsyncClient(**{"transport": transport, "base_url": BASE, **client_options, **options})

        site = Site(sink, open_client)
        async with app.running():
            yield site


async def events_of(sink: StreamSink, thread: str) -> list[tuple[str, dict[str, Any]]]:
    """Target and data of every event of a thread."""
    page = await sink.read(thread, None, limit=100_000, max_bytes=100_000_000)
    return [(event.target, msgspec.json.decode(event.json)) for event in page.events]


def ends(events: Iterable[tuple[str, dict[str, Any]]]) -> list[tuple[str, str | None]]:
    """Status and error code of every terminal."""
    return [(data["status"], data.get("error", {}).get("code")) for target, data in events if target == "agentDone"]


async def ends_of(sink: StreamSink, thread: str, count: int = 1) -> list[tuple[str, str | None]]:
    """The same of a thread, once it has ``count``."""
    async with asyncio.timeout(3_600):  # of virtual time
        while len(found := ends(await events_of(sink, thread))) < count:  # noqa: ASYNC110  not ours to wake
            await asyncio.sleep(0.01)
    return found


def said(events: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """The text of every ``agentMessage``."""
    return "".join(data["text"] for target, data in events if target == "agentMessage")


async def until(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    """Return when it holds."""
    async with asyncio.timeout(3_600):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.01)


async def call_asgi(app: Any, scope: dict[str, Any], *messages: dict[str, Any]) -> list[MutableMapping[str, Any]]:
    """What an application sends for a scope and these messages."""
    incoming = iter(messages)
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> Any:
        return next(incoming)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent
