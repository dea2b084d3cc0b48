"""Orchestrations of the plain app: with agents, and with what workflows are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.functions_platform import FunctionsPlatform


async def test_an_orchestration_asks_an_agent_twice_in_one_session(platform: FunctionsPlatform) -> None:
    status = await platform.orchestrate("ask_twice", "hello")

    assert (status["runtimeStatus"], status["output"]) == ("Completed", ["1 hello", "3 and?"])
    assert [name for name, _ in platform.entity_keys()] == ["dafx-echo"]


async def test_an_orchestration_tells_an_agent_and_goes_on(platform: FunctionsPlatform) -> None:
    status = await platform.orchestrate("tell")
    await platform.idle()
    (entity,) = platform.entity_keys()
    state = await platform.entity_state(*entity)

    assert (status["runtimeStatus"], status["output"].split(" ")[0]) == ("Completed", "4")
    assert [entry["$type"] for entry in state["data"]["conversationHistory"]] == ["request", "response"]


async def test_activities_children_timers_and_events_come_to_an_orchestration(platform: FunctionsPlatform) -> None:
    instance_id = await platform.start("work")
    await platform.idle()
    await platform.raise_event(instance_id, "name", "Ada")
    status = await platform.ended(instance_id)

    assert (status["runtimeStatus"], status["output"]) == ("Completed", [10, "Ada"])


async def test_an_orchestration_fails_with_its_activity(platform: FunctionsPlatform) -> None:
    status = await platform.orchestrate("fail")

    assert status["runtimeStatus"] == "Failed"
    assert "not this" in status["output"]


async def test_the_urls_of_an_instance_lead_to_it(platform: FunctionsPlatform) -> None:
    instance_id = await platform.start("ask_twice", "hello")
    await platform.ended(instance_id)
    async with httpx.AsyncClient() as http:
        known = await http.get(platform.status_url(instance_id))
        unknown = await http.get(platform.status_url("unknown"))

    assert (known.status_code, known.json()["runtimeStatus"], unknown.status_code) == (200, "Completed", 404)
