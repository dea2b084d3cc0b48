"""A thread as server-sent events, over HTTP on a real port."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from streamsink.core.delivery import Subscribes
from streamsink.core.settings import Settings, Times
from streamsink.demo.scripted import Pause, Text
from streamsink.hosts.asgi import StreamApp
from streamsink.opening import open_sink
from streamsink.testing.serving import serving

from .support import Gate, Model, make_agent, named, until


@pytest.mark.service
async def test_over_http_it_resumes_and_ends_with_its_reader() -> None:
    """On a real port: nothing is followed any more once the client is gone."""
    gate = Gate()
    agent = make_agent(Model([Text("One "), Pause(gate), Text("two")]))
    settings = Settings(times=Times(drain_s=0))
    sink = open_sink(settings, environ={})
    app = StreamApp([agent], settings=settings, identify=named, sink=sink)
    headers = {"x-user": "ann", "x-wait-for-response": "false"}
    async with serving(app, lifespan=True) as url, httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as http:
        thread = (await http.post("/api/agent/create-thread")).json()["thread_id"]
        await http.post(f"/api/agents/Robot/run?thread_id={thread}", content="Hi")
        await gate.reached.wait()
        path, wanted = f"/api/agent/threads/{thread}/events", {"accept": "text/event-stream"}

        async with http.stream("GET", path, headers=wanted) as reply:
            assert reply.headers["content-type"] == "text/event-stream"
            first = await read_until(reply, "agentMessage")
        gate.opened.set()
        async with http.stream("GET", path, headers={**wanted, "last-event-id": first[-1]}) as reply:
            rest = await read_until(reply, "agentDone")

        assert [int(name.rpartition(":")[2]) for name in (*first, *rest)] == [1, 2, 3, *range(4, 4 + len(rest))]
        bad = await http.get(path, headers={**wanted, "last-event-id": "nonsense"})
        assert bad.status_code == 400
        delivery: Any = sink.ability(Subscribes)
        async with asyncio.timeout(10):
            await until(lambda: thread not in delivery.hub._groups)
    await sink.aclose()


async def read_until(reply: httpx.Response, target: str) -> list[str]:
    """The ids of the events up to the first of that kind."""
    found, is_last = [], False
    async with asyncio.timeout(10):
        async for line in reply.aiter_lines():
            is_last = is_last or line == f"event: {target}"
            if line.startswith("id: "):
                found.append(line[4:])
                if is_last:
                    break
    return found
