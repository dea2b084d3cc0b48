"""A small Azure Functions host for tests: the real libraries in the worker, everything around them emulated.

    async with FunctionsPlatform(InProcessWorker(app)) as platform:
        ...  # HTTP calls to platform.url, with platform.function_key where a function demands one
        await platform.idle()
        assert await platform.entity_state("dafx-Joker", "thread-1")

Everything listens on loopback, on free ports, and ends with the platform; every wait ends after `timeout_s`.
"""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

from tests.functions_platform.activity import Activity
from tests.functions_platform.data import Text
from tests.functions_platform.entities import Entities
from tests.functions_platform.faults import Faults
from tests.functions_platform.front import Front
from tests.functions_platform.orchestrations import Orchestrations
from tests.functions_platform.pool import WorkerPool
from tests.functions_platform.routes import Routes
from tests.functions_platform.rpc import DurableRpc, client_binding
from tests.functions_platform.web import Listener, Request

if TYPE_CHECKING:
    from aiohttp import web

    from tests.functions_platform.data import Function
    from tests.functions_platform.workers import Worker

__all__ = ["FunctionsPlatform"]


class FunctionsPlatform:
    """The host of one function app, which `workers` execute."""

    function_key = "function-key"
    master_key = "master-key"

    def __init__(
        self, *workers: Worker, route_prefix: str = "api", task_hub: str = "TestHub", timeout_s: float = 20.0
    ) -> None:
        self.faults = Faults()
        self._route_prefix = route_prefix
        self._task_hub = task_hub
        self._activity = Activity(timeout_s)
        self._pool = WorkerPool(workers, self._activity)
        self._front_listener = Listener(self._handle_front)
        self._rpc_listener = Listener(self._handle_rpc)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._activity.aclose)
            for listener in (self._rpc_listener, self._front_listener):
                await listener.start()
                stack.push_async_callback(listener.aclose)
            stack.push_async_callback(self._pool.aclose)
            self._assemble(await self._pool.start(client_binding(self._rpc_listener.url, self.url, self._task_hub)))
            self._stack = stack.pop_all()
        return self

    def _assemble(self, functions: list[Function]) -> None:
        self._functions = {function.name: function for function in functions}
        self._entities = Entities(functions, self._pool, self.faults, self._activity)
        self._orchestrations = Orchestrations(functions, self._pool, self._entities, self._activity)
        self._rpc = DurableRpc(self._entities, self._orchestrations, self.faults)
        keys = {self.function_key: "FUNCTION", self.master_key: "ADMIN"}
        self._front = Front(Routes(functions, self._route_prefix), self._pool, keys)

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _handle_front(self, request: Request) -> web.Response:
        return await self._front.handle(request)

    async def _handle_rpc(self, request: Request) -> web.Response:
        return await self._rpc.handle(request)

    @property
    def url(self) -> str:
        """Where the app is, `http://127.0.0.1:PORT`; its functions are below the route prefix."""
        return self._front_listener.url

    @property
    def functions(self) -> dict[str, Function]:
        """The app's functions by name, as its worker indexed them."""
        return self._functions

    async def add_worker(self, worker: Worker) -> None:
        """Start one more worker of the app, for instance in the place of one that was killed."""
        await self._pool.add(worker)

    async def idle(self) -> None:
        """Wait until entities and orchestrations have nothing to do.

        Raises:
            TimeoutError: they do have after `timeout_s`.
        """
        await self._activity.idle()

    async def executing(self, name: str, key: str, *, batch: int = 1) -> None:
        """Wait until the entity's batch number `batch`, redelivered ones counted too, is with a worker."""
        entity = self._entities.find(name, key)
        await self._activity.until(lambda: entity.started >= batch)

    async def queued(self, name: str, key: str, operations: int) -> None:
        """Wait until so many operations of the entity are queued or executing."""
        entity = self._entities.find(name, key)
        await self._activity.until(lambda: len(entity.queue) >= operations)

    async def entity_state(self, name: str, key: str) -> Any:
        """Return the state of an entity that has nothing to do; None if it does not exist."""
        entity = self._entities.find(name, key)
        await self._activity.until(lambda: not entity.scheduled)
        return None if entity.state is None else json.loads(entity.state)

    def entity_keys(self) -> list[tuple[str, str]]:
        """Return name and key of every entity that exists."""
        return [(entity.name, entity.key) for entity in self._entities.all()]

    async def orchestrate(self, name: str, content: Any = None) -> Any:
        """Run an orchestration to its end and return its status: `runtimeStatus`, `output`, …"""
        instance_id = self._orchestrations.start(name, None if content is None else json.dumps(content))
        await self._activity.until(lambda: (self._status(instance_id))["runtimeStatus"] != "Running")
        return self._status(instance_id)

    def _status(self, instance_id: str) -> dict[str, Any]:
        status = self._orchestrations.status(instance_id)
        assert status is not None
        return status

    async def fire(self, name: str, *, past_due: bool = False) -> None:
        """Let a timer function's time come.

        Raises:
            AssertionError: it failed.
        """
        content = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": {}, "IsPastDue": past_due}
        outcome = await self._pool.invoke(self._functions[name], Text("json", json.dumps(content)))
        assert outcome.error is None, outcome.error

    async def call_tool(self, tool: str, **arguments: object) -> str:
        """Call an MCP tool as the MCP extension does.

        Raises:
            AssertionError: it failed.
        """
        function = next(function for function in self._functions.values() if function.trigger.get("toolName") == tool)
        content = {"name": tool, "arguments": arguments, "sessionid": "mcp-session", "transport": {"name": "http"}}
        outcome = await self._pool.invoke_with(function, json.dumps(content))
        return outcome.text()
