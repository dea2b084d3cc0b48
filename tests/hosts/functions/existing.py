"""An app as those that exist: an orchestration and its starter, a workflow, an MCP tool, a callback.

Nothing here is ours but the model's script: `make` is `AgentFunctionApp`, or the class that takes its name's place.
"""

# The decorators of the durable library have no types.
# mypy: disable-error-code="untyped-decorator"
# No postponed annotations here: the framework reads those of the workflow's step.

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Never

import azure.functions as func
from agent_framework import Agent, AgentExecutorResponse, Executor, WorkflowBuilder, WorkflowContext, handler
from agent_framework_durabletask import AgentSessionId, DurableAgentSession

from streamsink.demo.scripted import Reply, ScriptedChatClient, Text

if TYPE_CHECKING:
    from agent_framework import AgentResponse, AgentResponseUpdate, Message
    from agent_framework_durabletask import AgentCallbackContext

__all__ = ["Noted", "existing_app"]


class Noted:
    """The app's own callback."""

    def __init__(self) -> None:
        self.updates: list[str] = []
        self.responses: list[str] = []

    async def on_streaming_response_update(
        self, update: "AgentResponseUpdate", context: "AgentCallbackContext"
    ) -> None:
        self.updates.append(update.text)

    async def on_agent_response(self, response: "AgentResponse", context: "AgentCallbackContext") -> None:
        self.responses.append(f"{context.agent_name}: {response.text}")


def count(messages: Sequence["Message"], options: Mapping[str, Any]) -> Reply:
    """Say how many messages there are, and the last one."""
    return [Text(f"{len(messages)} {messages[-1].text}")]


def agent(name: str) -> Agent[Any]:
    return Agent(client=ScriptedChatClient(count, token_interval_s=0.0), name=name)


class Say(Executor):
    """The last step of the workflow: its output is what the second agent has said."""

    @handler
    async def say(self, said: AgentExecutorResponse, context: WorkflowContext[Never, str]) -> None:
        await context.yield_output(said.agent_response.text)


def existing_app(make: Callable[..., Any], noted: Noted) -> Any:
    """The app, made by a class."""
    first, second, say = agent("First"), agent("Second"), Say(id="say")
    pair = WorkflowBuilder(name="pair", start_executor=first).add_edge(first, second).add_edge(second, say).build()
    app = make(
        [agent("Robot")],
        workflow=pair,
        enable_mcp_tool_trigger=True,
        default_callback=noted,
        poll_interval_seconds=0.01,
        max_poll_retries=1000,
    )

    @app.orchestration_trigger(context_name="context")
    def ask(context: Any) -> Generator[Any, Any, str]:
        session = DurableAgentSession(durable_session_id=AgentSessionId("Robot", "kept"))
        answer = yield app.get_agent(context, "Robot").run(context.get_input(), session=session)
        return str(answer.text)

    @app.route(route="ask", methods=["POST"])
    @app.durable_client_input(client_name="client")
    async def start(req: func.HttpRequest, client: Any) -> func.HttpResponse:
        instance = await client.start_new("ask", client_input=req.get_body().decode())
        response: func.HttpResponse = client.create_check_status_response(req, instance)
        return response

    return app
