"""An app with scripted agents on real ports, one node or several, and people played by the real client in Node."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent_framework import Agent

from streamsink.backends.signalr.twin import Twin, twin
from streamsink.core.settings import Settings
from streamsink.demo.scripted import ScriptedChatClient, Text
from streamsink.hosts.asgi import StreamApp
from streamsink.hosts.sockets import websocket_protocol
from streamsink.opening import open_sink
from streamsink.testing.serving import serving
from tests.e2e.places import Alone, Azure
from tests.e2e.proxy import CutAfter, CuttingProxy, forwarding, never

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from streamsink.core.identity import Request, User
    from streamsink.core.sink import StreamSink
    from tests.e2e.places import Place

__all__ = ["AGENT", "World", "play", "said", "story", "storyteller", "world"]

AGENT: Final = "Storyteller"
_PLAYER: Final = Path(__file__).with_name("player.mjs")
_WAIT_S: Final = 100.0
_SETTINGS: Final = {
    "STREAM_SECRET": f"k1:{'s' * 48}",
    "STREAM_REQUESTS_PER_MINUTE": "1000000",
    "STREAM_MAX_RUNS_PER_USER": "1000",
    "STREAM_DRAIN_S": "0.1",
}


@dataclass(frozen=True, slots=True)
class World:
    """A running app.

    Attributes:
        front: gives each connection to the next node, and cuts them.
        clients: the same for clients' connections, where a service holds them; otherwise ``front``.
        service: that service.
        url: of ``front``.
        nodes: the URLs of the nodes themselves.
        sinks: theirs.
    """

    front: CuttingProxy
    clients: CuttingProxy
    service: Twin | None
    url: str
    nodes: list[str]
    sinks: list[StreamSink]

    @property
    def cuts(self) -> int:
        """How many connections were cut, by ``cut_after`` and one by one."""
        return self.front.cuts + (self.clients.cuts if self.clients is not self.front else 0)

    def cut_all(self) -> None:
        """Cut every connection now."""
        self.front.cut_all()
        self.clients.cut_all()


def story(prompt: str) -> str:
    """What the storyteller answers: long enough to be cut in many places, and not all of it ASCII."""
    return " ".join(f"{prompt}-{i}{'👋é世' if i % 7 == 0 else ''}" for i in range(120))


def storyteller(*, token_interval_s: float = 0.004) -> Agent:
    """An agent that tells its story token by token."""

    def script(messages: Sequence[Any], options: Any) -> list[Text]:
        return [Text(story(messages[-1].text))]

    client = ScriptedChatClient(script, token_interval_s=token_interval_s)
    return Agent(client=client, name=AGENT)


def by_header(request: Request) -> User | None:
    """A login for tests: who you say you are."""
    from streamsink.core.identity import User

    name = request.headers.get("x-test-user")
    return User(subject=name) if name else None


@asynccontextmanager
async def world(
    *agents: Agent, on: Place | None = None, cut_after: CutAfter = never, **more: Any
) -> AsyncIterator[World]:
    """The app on free ports.

    Args:
        on: what it runs on; None: one node on the memory backend.
        cut_after: cuts connections at exact places; see :class:`CuttingProxy`.
        more: further arguments of :class:`StreamApp`.
    """
    on = on or Alone()
    async with AsyncExitStack() as stack:
        environ, service, clients = on.environ, None, None
        if isinstance(on, Azure):
            service = await stack.enter_async_context(twin(faults=on.faults))
            clients = CuttingProxy([service.url], cut_after)
            clients_url = await stack.enter_async_context(_open(clients))
            environ["STREAM_SIGNALR_CONNECTION_STRING"] = f"{service.connection_string}ClientEndpoint={clients_url};"
        sinks = [await stack.enter_async_context(_sink(environ)) for _ in range(on.nodes)]
        nodes = [await stack.enter_async_context(_node(agents, environ, sink=sink, **more)) for sink in sinks]
        front = CuttingProxy(nodes, cut_after)
        url = await stack.enter_async_context(_open(front))
        yield World(front, clients or front, service, url, nodes, sinks)


@asynccontextmanager
async def _open(proxy: CuttingProxy) -> AsyncIterator[str]:
    async with forwarding(proxy) as port:
        yield f"http://127.0.0.1:{port}"


def _sink(environ: dict[str, str]) -> StreamSink:
    return open_sink(_settings(environ), environ=environ)


def _settings(environ: dict[str, str]) -> Settings:
    return Settings.from_environ({**_SETTINGS, **environ}, also_known=environ)


@asynccontextmanager
async def _node(agents: Sequence[Agent], environ: dict[str, str], **more: Any) -> AsyncIterator[str]:
    app = StreamApp(agents or (storyteller(),), settings=_settings(environ), **{"identify": by_header, **more})
    async with serving(app, lifespan=True, ws=websocket_protocol(app.sockets)) as url:
        yield url


async def play(url: str, people: list[dict[str, Any]], *, wait_s: float = _WAIT_S) -> list[dict[str, Any]]:
    """What each of them saw, in their order.

    Args:
        wait_s: for the end of one run.

    Raises:
        TimeoutError: it took too long.
        AssertionError: a person did not see the end of every run; says what the player said.
    """
    node = shutil.which("node")
    if node is None:
        raise AssertionError("Node is needed for the browser client's tests: https://nodejs.org")
    process = await asyncio.create_subprocess_exec(
        node,
        str(_PLAYER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    scenario = {"baseUrl": url, "agent": AGENT, "waitS": wait_s, "people": people}
    try:
        async with asyncio.timeout(wait_s * max(len(person["prompts"]) for person in people)):
            out, err = await process.communicate(json.dumps(scenario).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise AssertionError(f"the player failed: {err.decode()}")
    results = [json.loads(line) for line in out.splitlines()]
    return sorted(results, key=lambda result: int(result["index"]))


def said(state: dict[str, Any]) -> list[str]:
    """The answers' texts, one per run."""
    return ["".join(item["text"] for item in run["items"] if item["kind"] == "text") for run in state["runs"]]
