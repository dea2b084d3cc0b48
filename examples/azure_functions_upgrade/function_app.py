"""An app that was an `AgentFunctionApp`: with an orchestration, its starter, and its agent as an MCP tool.

Two things have changed: the class name, and that the starter says whose the orchestration's conversation is, so that
their browser may join it. Settings, `host.json` and requirements are those of `../azure_functions`.
"""

# The decorators of the durable library have no types.
# mypy: disable-error-code="untyped-decorator"

import json
import uuid
from collections.abc import Generator
from typing import Any

import azure.functions as func
from agent_framework_durabletask import AgentSessionId, DurableAgentSession

from streamsink.demo.travel_planner import create_agent
from streamsink.hosts.functions import StreamFunctionApp

app = StreamFunctionApp(agents=[create_agent()], enable_mcp_tool_trigger=True)  # AgentFunctionApp(…) before


@app.orchestration_trigger(context_name="context")
def plan_and_shorten(context: Any) -> Generator[Any, Any, str]:
    """Two turns with the agent; its session, and so the thread, is named like the orchestration."""
    planner = app.get_agent(context, "TravelPlanner")
    session = DurableAgentSession(durable_session_id=AgentSessionId("TravelPlanner", context.instance_id))
    yield planner.run(context.get_input(), session=session)
    shorter = yield planner.run("Make it shorter", session=session)
    return str(shorter.text)


@app.route(route="plan", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)  # type: ignore[call-arg]
@app.durable_client_input(client_name="client")
async def start_plan(req: func.HttpRequest, client: Any) -> func.HttpResponse:
    """Start it for whoever calls; the answer names the thread to join."""
    user = await app.user(req)
    if user is None:
        return func.HttpResponse("log in first", status_code=401)
    thread = uuid.uuid4().hex
    await app.register(thread, user)
    await client.start_new("plan_and_shorten", thread, req.get_body().decode())
    # An anonymous user who is new gets their cookie with this answer.
    return func.HttpResponse(json.dumps({"thread_id": thread}), status_code=202, headers=dict(user.response_headers))
