"""An app with scripted agents on a real port, and people played by the real client in Node."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent_framework import Agent

from streamsink.core.settings import Limits, Settings, Times
from streamsink.demo.scripted import ScriptedChatClient, Text
from streamsink.hosts.asgi import StreamApp
from streamsink.hosts.sockets import websocket_protocol
from streamsink.testing.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from streamsink.core.identity import Request, User

__all__ = ["AGENT", "World", "play", "said", "story", "storyteller", "world"]

AGENT: Final = "Storyteller"
_PLAYER: Final = Path(__file__).with_name("player.mjs")
_PLAY_S: Final = 110.0


@dataclass(frozen=True, slots=True)
class World:
    """A running app."""

    url: str
    app: StreamApp


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
async def world(*agents: Agent, history: str | None = None, **more: Any) -> AsyncIterator[World]:
    """The app on a free port."""
    limits = Limits(requests_per_minute=1_000_000, max_runs_per_user=1_000)
    settings = Settings(limits=limits, times=Times(drain_s=0.1), history=history)
    app = StreamApp(agents or (storyteller(),), settings=settings, identify=by_header, **more)
    async with serving(app, lifespan=True, ws=websocket_protocol(app.sockets)) as url:
        yield World(url, app)


async def play(url: str, people: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each of them saw, in their order.

    Raises:
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
    scenario = {"baseUrl": url, "agent": AGENT, "people": people}
    try:
        async with asyncio.timeout(_PLAY_S):
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
