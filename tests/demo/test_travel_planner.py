"""Whole conversations with the TravelPlanner, offline, through the real framework."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from agent_framework import Agent, AgentResponse, AgentSession, Message

from streamsink.demo.scripted import ScriptedChatClient
from streamsink.demo.travel_planner import TravelScript, create_agent

if TYPE_CHECKING:
    from agent_framework import Content


async def no_sleep(seconds: float) -> None:
    """Stand in for the pace."""


@pytest.fixture
def planner() -> Agent[Any]:
    return create_agent(ScriptedChatClient(TravelScript(lambda: date(2026, 3, 1)), sleep=no_sleep))


@pytest.fixture
def session() -> AgentSession:
    return AgentSession()


def of_type(response: AgentResponse[Any], kind: str) -> list[Content]:
    return [content for message in response.messages for content in message.contents if content.type == kind]


def places_asked_about(response: AgentResponse[Any]) -> list[str]:
    calls = of_type(response, "function_call")
    return [str((call.parse_arguments() or {})["destination"]) for call in calls]


async def test_a_plan_is_streamed_after_both_tools_were_asked(planner: Agent[Any]) -> None:
    updates = [update async for update in planner.run("Plan 3 days in Lisbon", stream=True)]

    kinds = list(dict.fromkeys(content.type for update in updates for content in update.contents))
    assert kinds == ["text_reasoning", "function_call", "usage", "function_result", "text"]
    answer = "".join(update.text for update in updates)
    assert len([update for update in updates if update.text]) > 50
    assert answer.startswith("# 3 days in Lisbon, Portugal\n")


async def test_the_answer_uses_what_the_tools_said(planner: Agent[Any]) -> None:
    response = await planner.run("Plan 3 days in Lisbon")

    weather, events = [str(result.result).partition(": ")[2] for result in of_type(response, "function_result")]
    assert weather in response.text
    assert all(event in response.text for event in events.split("; "))


async def test_a_follow_up_builds_on_the_first_answer(planner: Agent[Any], session: AgentSession) -> None:
    await planner.run("Plan a 5-day trip to Lisbon in May", session=session)
    response = await planner.run("Include neighbouring countries as well", session=session)

    assert response.text.startswith("# 5 days in Lisbon, Portugal with Madrid and Marrakesh\n")
    assert "**15 May 2026** to **19 May 2026**" in response.text
    # What is known about Lisbon from the first turn is not asked again.
    assert places_asked_about(response) == ["Madrid", "Madrid", "Marrakesh", "Marrakesh"]


async def test_shorter_needs_no_tools_again(planner: Agent[Any], session: AgentSession) -> None:
    first = await planner.run("Plan 3 days in Lisbon", session=session)
    second = await planner.run("Shorter, please", session=session)

    assert places_asked_about(second) == []
    assert second.text.startswith("# 3 days in Lisbon")
    assert len(second.text) < len(first.text) / 2


async def test_small_talk_is_answered_without_tools(planner: Agent[Any], session: AgentSession) -> None:
    hello = await planner.run("Hello", session=session)
    unknown = await planner.run("Sing me a song", session=session)
    await planner.run("A weekend in Tokyo", session=session)
    thanks = await planner.run("Thanks!", session=session)

    assert "TravelPlanner" in hello.text
    assert "destination" in unknown.text
    assert thanks.text.startswith("You are welcome")


async def test_booking_nowhere_asks_where(planner: Agent[Any]) -> None:
    response = await planner.run("Book it")

    assert not response.user_input_requests
    assert "destination" in response.text


@pytest.mark.parametrize(
    ("approved", "answer"),
    [(True, "**Done.** Booked Lisbon from 2026-05-12"), (False, "**nothing was booked**")],
)
async def test_a_booking_waits_for_approval_and_continues(
    planner: Agent[Any], session: AgentSession, approved: bool, answer: str
) -> None:
    await planner.run("3 days in Lisbon from 12 May", session=session)
    asked = await planner.run("Book it", session=session)
    (request,) = asked.user_input_requests

    # The person answers later, perhaps on another node: the session has been stored in between.
    restored = AgentSession.from_dict(json.loads(json.dumps(session.to_dict())))
    response = await planner.run(Message("user", [request.to_function_approval_response(approved)]), session=restored)

    assert "book **3 days in Lisbon, Portugal**" in asked.text
    assert answer in response.text


async def test_a_second_booking_is_asked_about_again(planner: Agent[Any], session: AgentSession) -> None:
    await planner.run("3 days in Lisbon", session=session)
    for _ in range(2):
        asked = await planner.run("Book it", session=session)
        (request,) = asked.user_input_requests
        await planner.run(Message("user", [request.to_function_approval_response(False)]), session=session)

    assert len(asked.user_input_requests) == 1


async def test_the_same_conversation_has_the_same_answers(planner: Agent[Any]) -> None:
    first, second = [(await planner.run("A week in Oslo")).text for _ in range(2)]

    assert first == second


async def test_arguments_that_a_model_left_out_are_no_facts(planner: Agent[Any]) -> None:
    """A history may hold calls of a real model, made before the offline script took over."""
    from agent_framework import Content

    history = [
        Message("user", ["Hello"]),
        Message("assistant", [Content.from_function_call("c1", "get_weather_forecast")]),
        Message("tool", [Content.from_function_result("c1", result="Error: Argument parsing failed.")]),
        Message("user", ["3 days in Lisbon"]),
    ]

    response = await planner.run(history)

    assert places_asked_about(response) == ["Lisbon", "Lisbon"]


def test_the_agent_is_offline_unless_the_environment_says_otherwise() -> None:
    agent = create_agent(environ={})

    assert agent.name == "TravelPlanner"
    assert isinstance(agent.client, ScriptedChatClient)
