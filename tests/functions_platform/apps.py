"""The app that the emulation is proved with: Microsoft's own, with an agent that answers offline."""

# The decorators of the durable library have no types.
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_framework import Agent
from agent_framework_azurefunctions import AgentFunctionApp

from streamsink.demo.scripted import Reply, ScriptedChatClient, Text

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from agent_framework import Message

    from streamsink.demo.scripted import Script

__all__ = ["create_app", "echo"]


def echo(messages: Sequence[Message], options: Mapping[str, Any]) -> Reply:
    """Say how many messages the model was given, and the last one."""
    return [Text(f"{len(messages)} {messages[-1].text}")]


def create_app(script: Script = echo, **options: Any) -> Any:
    """Return an app with the agent `Echo` and the orchestrations `ask_twice`, `tell` and `fail`."""
    agent = Agent(client=ScriptedChatClient(script, token_interval_s=0.0), name="Echo")
    app: Any = AgentFunctionApp(agents=[agent], poll_interval_seconds=0.01, max_poll_retries=1000, **options)

    @app.orchestration_trigger(context_name="context")
    def ask_twice(context: Any) -> Generator[Any, Any, list[str]]:
        echo = app.get_agent(context, "Echo")
        session = echo.create_session()
        first = yield echo.run(context.get_input(), session=session)
        second = yield echo.run("and?", session=session)
        return [first.text, second.text]

    @app.orchestration_trigger(context_name="context")
    def tell(context: Any) -> Generator[Any, Any, str]:
        echo = app.get_agent(context, "Echo")
        # To yield what this returns is an error of the framework's: its action cannot be written as JSON.
        accepted = echo.run("listen", session=echo.create_session(), options={"wait_for_response": False})
        four = yield context.call_activity("double", 2)
        return f"{four} {accepted.result.text}"

    @app.orchestration_trigger(context_name="context")
    def work(context: Any) -> Generator[Any, Any, list[Any]]:
        both = yield context.task_all([context.call_activity("double", 2), context.call_activity("double", 3)])
        child = yield context.call_sub_orchestrator("add", both)
        name = yield context.wait_for_external_event("name")
        yield context.create_timer(context.current_utc_datetime)
        return [child, name]

    @app.orchestration_trigger(context_name="context")
    def add(context: Any) -> int:
        return sum(context.get_input())

    @app.activity_trigger(input_name="number")
    def double(number: int) -> int:
        return 2 * number

    @app.orchestration_trigger(context_name="context")
    def fail(context: Any) -> Generator[Any, Any, None]:
        yield context.call_activity("refuse", "this")

    @app.activity_trigger(input_name="what")
    def refuse(what: str) -> None:
        raise ValueError(f"not {what}")

    return app
