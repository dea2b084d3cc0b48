"""An app with scripted agents on real ports, one node or several, and people played by the real client in Node."""

from __future__ import annotations

import asyncio
import json
import shutil
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent_framework import Agent

from streamsink.backends.redis.factory import redis_sink
from streamsink.backends.redis.settings import RedisSettings
from streamsink.core.runtime import Runtime
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Limits, Settings, Times
from streamsink.demo.scripted import ScriptedChatClient, Text
from streamsink.hosts.asgi import StreamApp
from streamsink.hosts.sockets import websocket_protocol
from streamsink.testing.serving import serving
from tests.e2e.proxy import CuttingProxy, forwarding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from streamsink.core.identity import Request, User

__all__ = ["AGENT", "Cluster", "World", "play", "said", "story", "storyteller", "world"]

AGENT: Final = "Storyteller"
_PLAYER: Final = Path(__file__).with_name("player.mjs")
_WAIT_S: Final = 100.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Several nodes on one Redis."""

    redis_url: str
    nodes: int
    prefix: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:12]}")


@dataclass(frozen=True, slots=True)
class World:
    """A running app.

    Attributes:
        url: of the app; of several nodes, that of the balancer in front of them.
        balancer: gives each connection to the next node; None: there is one node, and no balancer.
    """

    url: str
    balancer: CuttingProxy | None = None


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
    *agents: Agent, on: Cluster | None = None, history: str | None = None, **more: Any
) -> AsyncIterator[World]:
    """The app on a free port.

    Args:
        on: nodes that share a Redis; None: one node on the memory backend.
        history: who keeps the timelines of that one node; None: the backend.
        more: further arguments of :class:`StreamApp`.
    """
    more = {"identify": by_header, **more}
    async with AsyncExitStack() as stack:
        if on is None:
            yield World(await stack.enter_async_context(_node(agents, _settings(history=history), **more)))
            return
        urls = [await stack.enter_async_context(_redis_node(agents, on, **more)) for _ in range(on.nodes)]
        balancer = CuttingProxy(urls)
        port = await stack.enter_async_context(forwarding(balancer))
        yield World(f"http://127.0.0.1:{port}", balancer)


def _settings(**more: Any) -> Settings:
    limits = Limits(requests_per_minute=1_000_000, max_runs_per_user=1_000)
    return Settings(limits=limits, times=Times(drain_s=0.1), **more)


@asynccontextmanager
async def _redis_node(agents: Sequence[Agent], on: Cluster, **more: Any) -> AsyncIterator[str]:
    settings = _settings(secret=SecretRing.parse(f"k1:{'s' * 48}"))
    own = RedisSettings(url=on.redis_url, prefix=on.prefix)
    async with redis_sink(settings, own, Runtime()) as sink, _node(agents, settings, sink=sink, **more) as url:
        yield url


@asynccontextmanager
async def _node(agents: Sequence[Agent], settings: Settings, **more: Any) -> AsyncIterator[str]:
    app = StreamApp(agents or (storyteller(),), settings=settings, **more)
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
