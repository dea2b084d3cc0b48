"""A small Azure Functions host for tests: the real libraries in the worker, everything around them emulated.

    async with FunctionsPlatform(InProcessWorker(app)) as platform:
        ...  # HTTP calls to platform.url, with platform.function_key where a function demands one
        await platform.idle()
        assert await platform.entity_state("dafx-Joker", "thread-1")

As on the platform, the host is apart from its workers and from whoever calls it: it has a thread of its own, so
that none of its tasks is taken for the test's. Everything listens on loopback, on free ports, and ends with the
platform; every wait ends after `timeout_s`, with a `TimeoutError`.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from tests.functions_platform.faults import Faults
from tests.functions_platform.host import Host
from tests.functions_platform.threads import LoopThread

if TYPE_CHECKING:
    from tests.functions_platform.data import Function
    from tests.functions_platform.workers import Worker

__all__ = ["FunctionsPlatform"]


class FunctionsPlatform:
    """The host of one function app, which `workers` execute."""

    function_key: Final = "function-key"
    master_key: Final = "master-key"

    def __init__(
        self, *workers: Worker, route_prefix: str = "api", task_hub: str = "TestHub", timeout_s: float = 20.0
    ) -> None:
        self.faults = Faults()
        self._workers = workers
        self._route_prefix = route_prefix
        self._task_hub = task_hub
        self._timeout_s = timeout_s
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        keys = {self.function_key: "FUNCTION", self.master_key: "ADMIN"}
        async with AsyncExitStack() as stack:
            self._thread = LoopThread("functions-host")
            stack.push_async_callback(self._thread.aclose)
            self.faults.notify = self._notify
            self._host = Host(self._workers, self.faults, keys, self._timeout_s)
            await self._thread.run(self._host.start(self._route_prefix, self._task_hub))
            stack.push_async_callback(self._close_host)
            self._stack = stack.pop_all()
        return self

    def _notify(self) -> None:
        self._thread.loop.call_soon_threadsafe(self._host.activity.changed)

    async def _close_host(self) -> None:
        await self._thread.run(self._host.aclose())

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """Where the app is, `http://127.0.0.1:PORT`; its functions are below the route prefix."""
        return self._host.url

    @property
    def functions(self) -> dict[str, Function]:
        """The app's functions by name, as its worker indexed them."""
        return self._host.functions

    async def add_worker(self, worker: Worker) -> None:
        """Start one more worker of the app, for instance in the place of one that was killed."""
        await self._thread.run(self._host.pool.add(worker))

    async def idle(self) -> None:
        """Wait until entities and orchestrations have nothing to do; what a test holds back is something."""
        await self._thread.run(self._host.activity.idle())

    async def executing(self, name: str, key: str, *, batch: int = 1) -> None:
        """Wait until the entity's batch number `batch`, redelivered ones counted too, is with a worker."""
        await self._thread.run(self._host.executing(name, key, batch))

    async def queued(self, name: str, key: str, operations: int) -> None:
        """Wait until so many operations of the entity are queued or executing."""
        await self._thread.run(self._host.queued(name, key, operations))

    async def entity_state(self, name: str, key: str) -> Any:
        """Wait until the entity has nothing to do and return its state; None if it does not exist."""
        return await self._thread.run(self._host.entity_state(name, key))

    def entity_keys(self) -> list[tuple[str, str]]:
        """Return name (in lower case) and key of every entity that exists."""
        return [(entity.name, entity.key) for entity in self._host.entities.all()]

    async def signal(self, name: str, key: str, operation: str, content: Any = None) -> None:
        """Signal an entity, past every client and fault."""
        await self._thread.run(self._host.signal(name, key, operation, content))

    async def start(self, orchestration: str, content: Any = None) -> str:
        """Start an orchestration and return its instance id."""
        return await self._thread.run(self._host.start_orchestration(orchestration, content))

    async def ended(self, instance_id: str) -> dict[str, Any]:
        """Wait until an orchestration has ended and return its status: `runtimeStatus`, `output`, …"""
        return await self._thread.run(self._host.ended(instance_id))

    async def orchestrate(self, orchestration: str, content: Any = None) -> dict[str, Any]:
        """Run an orchestration to its end and return its status."""
        return await self.ended(await self.start(orchestration, content))

    async def raise_event(self, instance_id: str, event: str, content: Any) -> None:
        """Send an external event to a running orchestration."""
        assert await self._thread.run(self._host.raise_event(instance_id, event, content)) == 202

    def status_url(self, instance_id: str) -> str:
        """Return the public URL of an orchestration's status, key included."""
        return self._host.status_url.replace("INSTANCEID", instance_id)

    async def fire(self, timer: str, *, past_due: bool = False) -> None:
        """Let the time of a timer function come; an `AssertionError` says why it failed."""
        await self._thread.run(self._host.fire(timer, past_due=past_due))

    async def call_tool(self, tool: str, **arguments: object) -> str:
        """Call an MCP tool as the MCP extension does; an `AssertionError` says why it failed."""
        return await self._thread.run(self._host.call_tool(tool, arguments))
