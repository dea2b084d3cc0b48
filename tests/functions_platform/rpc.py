"""The durable extension's local RPC: the HTTP API that `DurableOrchestrationClient` calls.

Routes and statuses as `HttpApiHandler` of the extension has them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from tests.functions_platform.entities import Entities, Operation
from tests.functions_platform.web import Request, Target, parse_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.functions_platform.faults import Faults
    from tests.functions_platform.orchestrations import Orchestrations

__all__ = ["DurableRpc", "client_binding", "webhook_call"]

_WEBHOOK: Final = ("runtime", "webhooks", "durabletask")
_SYSTEM_KEY: Final = "system-key"


class DurableRpc:
    def __init__(self, entities: Entities, orchestrations: Orchestrations, faults: Faults) -> None:
        self._entities = entities
        self._orchestrations = orchestrations
        self._faults = faults

    def handle(self, request: Request) -> web.Response:
        target = parse_target(request.target)
        content = json.loads(request.body) if request.body else None
        match request.method, target.segments[1:] if target.segments[:1] == ("durabletask",) else ():
            case "POST", ("entities", name, key):
                return self._signal(name, key, target.query, content)
            case "GET", ("entities", name, key):
                return self._read(name, key)
            case "POST", ("orchestrators", name, *rest):
                return self._start(name, rest, content)
            case "GET", ("instances",) | ("instances", ""):
                return web.json_response(list(self._orchestrations.statuses()))
            case "GET", ("instances", instance_id):
                return self._status(instance_id)
            case "POST", ("instances", instance_id, "raiseEvent", event):
                return self._raise_event(instance_id, event, content)
            case "POST", ("instances", instance_id, "terminate"):
                return self._terminate(instance_id, target)
            case _:
                return web.json_response({"Message": "no such call"}, status=404)

    def _signal(self, name: str, key: str, query: Mapping[str, str], content: Any) -> web.Response:
        if not self._entities.known(name):
            return web.json_response({"Message": f"The entity '{name}' doesn't exist, is disabled, …"}, status=400)
        fault = self._faults.of_signal()
        if fault is None or fault.executed:
            entity = self._entities.find(name, key)
            # The body is JSON, which holds the caller's JSON in a string; the operation's input is the body again.
            operation = Operation(query.get("op", ""), json.dumps(content))
            self._faults.deliver(lambda: self._entities.submit(entity, operation))
        return web.Response(status=202 if fault is None else fault.status)

    def _read(self, name: str, key: str) -> web.Response:
        entity = self._entities.find(name, key)
        if not entity.exists:
            return web.Response(status=404)
        return web.Response(text=entity.state or "null", content_type="application/json")

    def _start(self, name: str, rest: list[str], content: Any) -> web.Response:
        if not self._orchestrations.known(name):
            message = f"The function '{name}' doesn't exist, is disabled, or is not an orchestrator function."
            return web.json_response({"Message": message, "ExceptionMessage": message}, status=400)
        return web.json_response({"id": self._orchestrations.start(name, content, *rest)}, status=202)

    def _status(self, instance_id: str) -> web.Response:
        if not self._orchestrations.exists(instance_id):
            return web.json_response({"Message": f"No instance with ID '{instance_id}' was found."}, status=404)
        status = self._orchestrations.status(instance_id)
        return web.json_response(status, status=202 if status["runtimeStatus"] in ("Running", "Pending") else 200)

    def _raise_event(self, instance_id: str, event: str, content: Any) -> web.Response:
        return web.Response(status=self._orchestrations.raise_event(instance_id, event, content))

    def _terminate(self, instance_id: str, target: Target) -> web.Response:
        return web.Response(status=self._orchestrations.terminate(instance_id, target.query.get("reason", "")))


def webhook_call(request: Request) -> Request | None:
    """Return the call of the local RPC that a call of the public webhook is, which takes the extension's key."""
    target = parse_target(request.target)
    if target.segments[:3] != _WEBHOOK or target.query.get("code") != _SYSTEM_KEY:
        return None
    return replace(request, target=request.target.replace("/runtime/webhooks/", "/", 1))


def client_binding(rpc_url: str, front_url: str, task_hub: str) -> dict[str, Any]:
    """Return what a `durableClient` parameter is given, as JSON in a string."""
    webhooks = f"{front_url}/runtime/webhooks/durabletask"
    query = f"taskHub={task_hub}&connection=Storage&code={_SYSTEM_KEY}"
    instance = f"{webhooks}/instances/INSTANCEID"
    management = {
        "id": "INSTANCEID",
        "statusQueryGetUri": f"{instance}?{query}",
        "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{query}",
        "terminatePostUri": f"{instance}/terminate?reason={{text}}&{query}",
        "rewindPostUri": f"{instance}/rewind?reason={{text}}&{query}",
        "purgeHistoryDeleteUri": f"{instance}?{query}",
        "restartPostUri": f"{instance}/restart?{query}",
        "suspendPostUri": f"{instance}/suspend?reason={{text}}&{query}",
        "resumePostUri": f"{instance}/resume?reason={{text}}&{query}",
    }
    start = f"{webhooks}/orchestrators/{{functionName}}[/{{instanceId}}]?code={_SYSTEM_KEY}"
    return {
        "taskHubName": task_hub,
        "creationUrls": {"createNewInstancePostUri": start, "createAndWaitOnNewInstancePostUri": start},
        "managementUrls": management,
        "baseUrl": webhooks,
        "requiredQueryStringParameters": f"code={_SYSTEM_KEY}",
        "rpcBaseUrl": f"{rpc_url}/durabletask/",
        "httpBaseUrl": webhooks,
    }
