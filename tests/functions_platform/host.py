"""The host's parts put together, on the one loop where they all live."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

from tests.functions_platform.activity import Activity
from tests.functions_platform.data import Text
from tests.functions_platform.entities import Entities, Operation
from tests.functions_platform.front import Front
from tests.functions_platform.orchestrations import Orchestrations
from tests.functions_platform.pool import WorkerPool
from tests.functions_platform.routes import Routes
from tests.functions_platform.rpc import DurableRpc, client_binding, webhook_call
from tests.functions_platform.web import Listener, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web

    from tests.functions_platform.data import Function
    from tests.functions_platform.faults import Faults
    from tests.functions_platform.workers import Worker

__all__ = ["Host"]


class Host:
    """What `FunctionsPlatform` asks from the test's loop."""

    def __init__(self, workers: Sequence[Worker], faults: Faults, keys: Mapping[str, str], timeout_s: float) -> None:
        self._faults = faults
        self._keys = keys
        self.activity = Activity(timeout_s)
        self.pool = WorkerPool(workers, self.activity)
        self._front_listener = Listener(self._handle_front)
        self._rpc_listener = Listener(self._handle_rpc)
        self._stack = AsyncExitStack()

    async def start(self, route_prefix: str, task_hub: str) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.activity.aclose)
            for listener in (self._rpc_listener, self._front_listener):
                await listener.start()
                stack.push_async_callback(listener.aclose)
            stack.push_async_callback(self.pool.aclose)
            self._client = client_binding(self._rpc_listener.url, self.url, task_hub)
            self._assemble(await self.pool.start(self._client), route_prefix)
            self._stack = stack.pop_all()
        return self

    def _assemble(self, functions: Sequence[Function], route_prefix: str) -> None:
        self.functions = {function.name: function for function in functions}
        self.entities = Entities(functions, self.pool, self._faults, self.activity)
        self.orchestrations = Orchestrations(functions, self.pool, self.entities, self.activity)
        self._rpc = DurableRpc(self.entities, self.orchestrations, self._faults)
        self._front = Front(Routes(functions, route_prefix), self.pool, self._keys)

    @property
    def url(self) -> str:
        return self._front_listener.url

    @property
    def status_url(self) -> str:
        return str(self._client["managementUrls"]["statusQueryGetUri"])

    async def _handle_front(self, request: Request) -> web.Response:
        webhook = webhook_call(request)
        return await self._front.handle(request) if webhook is None else self._rpc.handle(webhook)

    async def _handle_rpc(self, request: Request) -> web.Response:
        return self._rpc.handle(request)

    async def executing(self, name: str, key: str, batch: int) -> None:
        entity = self.entities.find(name, key)
        await self.activity.until(lambda: entity.started >= batch)

    async def queued(self, name: str, key: str, operations: int) -> None:
        entity = self.entities.find(name, key)
        await self.activity.until(lambda: len(entity.queue) >= operations)

    async def entity_state(self, name: str, key: str) -> Any:
        entity = self.entities.find(name, key)
        await self.activity.until(lambda: not entity.scheduled)
        return None if entity.state is None else json.loads(entity.state)

    async def signal(self, name: str, key: str, operation: str, content: Any) -> None:
        # A client's JSON is a string of the operation's JSON.
        operation_input = json.dumps(json.dumps(content))
        self.entities.submit(self.entities.find(name, key), Operation(operation, operation_input))

    async def start_orchestration(self, name: str, content: Any) -> str:
        return self.orchestrations.start(name, None if content is None else json.dumps(content))

    async def ended(self, instance_id: str) -> dict[str, Any]:
        await self.activity.until(lambda: self.orchestrations.status(instance_id)["runtimeStatus"] != "Running")
        return self.orchestrations.status(instance_id)

    async def raise_event(self, instance_id: str, event: str, content: Any) -> int:
        return self.orchestrations.raise_event(instance_id, event, json.dumps(content))

    async def fire(self, name: str, *, past_due: bool) -> None:
        content = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": {}, "IsPastDue": past_due}
        outcome = await self.pool.invoke(self.functions[name], Text("json", json.dumps(content)))
        assert outcome.error is None, outcome.error

    async def call_tool(self, tool: str, arguments: Mapping[str, object]) -> str:
        function = next(function for function in self.functions.values() if function.trigger.get("toolName") == tool)
        content = {"name": tool, "arguments": arguments, "sessionid": "mcp-session", "transport": {"name": "http"}}
        outcome = await self.pool.invoke_with(function, json.dumps(content))
        return outcome.text()

    async def aclose(self) -> None:
        await self._stack.aclose()
