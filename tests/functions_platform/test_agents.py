"""Microsoft's plain `AgentFunctionApp` on the emulated platform: proof that the emulation holds what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.functions_platform import FunctionsPlatform

RUN = "/api/agents/Echo/run"


async def test_a_run_answers_and_the_next_one_remembers(http: httpx.AsyncClient) -> None:
    first = await http.post(RUN, params={"thread_id": "t1"}, json={"message": "hello"})
    second = await http.post(RUN, params={"thread_id": "t1"}, json={"message": "again"})

    assert (first.status_code, first.json()["response"]) == (200, "1 hello")
    assert (second.status_code, second.json()["response"]) == (200, "3 again")


async def test_a_run_that_nobody_waits_for_is_accepted_and_saved(
    http: httpx.AsyncClient, platform: FunctionsPlatform
) -> None:
    answer = await http.post(
        RUN, params={"session_id": "t1"}, content="hello", headers={"x-ms-wait-for-response": "false"}
    )
    state = await platform.entity_state("dafx-Echo", "t1")

    assert (answer.status_code, answer.headers["x-ms-session-id"]) == (202, "t1")
    assert [entry["$type"] for entry in state["data"]["conversationHistory"]] == ["request", "response"]


async def test_an_mcp_tool_is_called(platform: FunctionsPlatform) -> None:
    assert await platform.call_tool("Echo", query="hello", sessionId="t1") == "1 hello"
    assert platform.entity_keys() == [("dafx-echo", "t1")]


async def test_the_app_is_healthy(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/health")

    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")


async def test_a_function_demands_a_key(platform: FunctionsPlatform) -> None:
    async with httpx.AsyncClient(base_url=platform.url) as stranger:
        refused = await stranger.get("/api/health")
        let_in = await stranger.get("/api/health", params={"code": platform.function_key})
        administrator = await stranger.get("/api/health", headers={"x-functions-key": platform.master_key})

    assert [answer.status_code for answer in (refused, let_in, administrator)] == [401, 200, 200]


async def test_an_unescaped_id_reaches_an_operation_of_another_entity(
    http: httpx.AsyncClient, platform: FunctionsPlatform
) -> None:
    """The known fault of the durable client: ids go into its URLs as they are."""
    await http.post(RUN, params={"thread_id": "victim"}, json={"message": "hello"})
    await http.post(RUN, params={"thread_id": "victim?op=reset&x="}, json={"message": "me", "wait_for_response": False})
    state = await platform.entity_state("dafx-Echo", "victim")

    assert state["data"]["conversationHistory"] == []


async def test_an_unescaped_id_climbs_into_another_agents_entities(
    http: httpx.AsyncClient, platform: FunctionsPlatform
) -> None:
    await http.post(
        RUN, params={"thread_id": "x/../../dafx-Echo/victim"}, json={"message": "me", "wait_for_response": False}
    )
    await platform.idle()

    assert platform.entity_keys() == [("dafx-echo", "victim")]
