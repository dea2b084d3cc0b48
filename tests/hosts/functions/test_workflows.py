"""A whole framework `Workflow` on the host: its routes and its output stay, and its agents are streamed."""

# No postponed annotations here: the framework reads those of an executor's handlers.
from typing import Any, Never

from agent_framework import (
    AgentExecutorResponse,
    Executor,
    Workflow,
    WorkflowBuilder,
    WorkflowContext,
    WorkflowExecutor,
    handler,
)

from streamsink.core.identity import User
from streamsink.demo.scripted import Text
from tests.hosts.contract_checking import assert_error
from tests.hosts.support import Model, make_agent

from .support import FunctionsSite, on_agent_loop, running_site

INSTANCE = "letter-1"


class Post(Executor):
    """What is no agent: an activity."""

    @handler
    async def send(self, answer: AgentExecutorResponse, context: WorkflowContext[Never, str]) -> None:
        await context.yield_output(f"sent: {answer.agent_response.text}")


def in_sequence(name: str, *agents: Any) -> Workflow:
    post = Post("post")
    builder = WorkflowBuilder(start_executor=agents[0], name=name, output_from=[post])
    return builder.add_chain([*agents, post]).build()


def key(site: FunctionsSite) -> dict[str, str]:
    return {"x-functions-key": site.platform.function_key}


async def run(site: FunctionsSite) -> dict[str, Any]:
    """Start `letters` as its callers do, and say what they read at its end."""
    options: dict[str, Any] = {"json": "Write", "params": {"runId": INSTANCE}, "headers": key(site)}
    reply = await site(None).post("/api/workflow/letters/run", **options)
    assert reply.status_code == 202, reply.text
    await site.platform.ended(INSTANCE)
    status = await site(None).get(f"/api/workflow/letters/status/{INSTANCE}", headers=key(site))
    return dict(status.json())


@on_agent_loop
async def test_its_agents_stream_on_the_thread_of_its_instance() -> None:
    """One after the other, each as the run of an agent named `WORKFLOW-EXECUTOR`."""
    editor = Model([Text("Dear Robert")])
    letters = in_sequence("letters", make_agent("Dear Bob", name="Writer"), make_agent(editor, name="Editor"))
    async with running_site(workflow=letters) as site:
        await site.app.register(INSTANCE, User(subject="ann"))

        status = await run(site)

        assert (status["runtimeStatus"], status["output"]) == ("Completed", ["sent: Dear Robert"])
        assert editor.heard == [["user: Dear Bob"]]
        assert await site.done(INSTANCE, 2) == [("completed", None)] * 2
        texts = [each for each in await site.events(INSTANCE) if each[0] in ("userMessage", "agentMessage")]
        assert [(data["agentName"], data["text"]) for _, data in texts] == [
            ("letters-Writer", "Write"),
            ("letters-Writer", "Dear Bob"),
            ("letters-Editor", "Dear Bob"),
            ("letters-Editor", "Dear Robert"),
        ]
        assert len({data["correlationId"] for _, data in texts}) == 2


@on_agent_loop
async def test_a_browser_that_has_joined_its_thread_sees_it() -> None:
    letters = in_sequence("letters", make_agent("Dear Bob", name="Writer"))
    async with running_site(workflow=letters) as site:
        await site.app.register(INSTANCE, User(subject="ann"))
        async with site.browser(INSTANCE) as browser:
            await run(site)

            (done,) = await browser.until(target="agentDone", timeout_s=20)

        assert done.data["status"] == "completed"


@on_agent_loop
async def test_its_routes_demand_a_key_and_its_thread_an_owner() -> None:
    async with running_site(workflow=in_sequence("letters", make_agent("Dear Bob", name="Writer"))) as site:
        assert (await site().post("/api/workflow/letters/run", json="Write")).status_code == 401
        await run(site)
        assert_error(await site().get(f"/api/agent/threads/{INSTANCE}/events"), 403)


@on_agent_loop
async def test_a_workflow_inside_another_has_a_thread_of_its_own() -> None:
    """That of its own instance, which the framework names after the outer one."""
    inner = WorkflowExecutor(
        in_sequence("inner", make_agent("Dear Bob", name="Writer")), id="first", allow_direct_output=True
    )
    letters = WorkflowBuilder(start_executor=inner, name="letters", output_from=[inner]).build()
    async with running_site(workflow=letters) as site:
        status = await run(site)

        assert (status["runtimeStatus"], status["output"]) == ("Completed", ["sent: Dear Bob"])
        assert await site.done(f"{INSTANCE}::first::0") == [("completed", None)]
        assert await site.events(INSTANCE) == []


@on_agent_loop
async def test_a_failure_inside_it_is_shown_once_and_reaches_it() -> None:
    """The model is not asked again; the framework gives the workflow an empty answer, as without us."""
    writer = Model([ConnectionError("no model")])
    async with running_site(workflow=in_sequence("letters", make_agent(writer, name="Writer"))) as site:
        status = await run(site)

        assert (status["runtimeStatus"], status["output"]) == ("Completed", ["sent: "])
        assert len(writer.heard) == 1
        assert await site.done(INSTANCE) == [("failed", "agent_error")]
