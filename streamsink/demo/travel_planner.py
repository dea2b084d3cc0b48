"""The TravelPlanner: an agent that plans trips, with a real model or with the offline script below."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from agent_framework import Agent, Content, Message, SupportsChatGetResponse

from streamsink.demo.answers import Facts, booking_answer, booking_question, plan, small_talk
from streamsink.demo.chat_clients import configured_client
from streamsink.demo.scripted import Reasoning, Reply, ScriptedChatClient, Text, ToolCall
from streamsink.demo.tools import TOOLS, book_trip, get_local_events, get_weather_forecast
from streamsink.demo.trips import Intent, Trip, understand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["INSTRUCTIONS", "TravelScript", "create_agent"]

INSTRUCTIONS = """\
You are a friendly travel planner. Plan day by day, in Markdown: a heading, a small table of places and
weather, and a list for each day. Before you answer, call get_weather_forecast and get_local_events for every
place, and use what they say; it is sample data, say so in one short line. Keep the destination, the number of
days and the dates of the conversation until the traveller changes them. Call book_trip only when asked to
book, and say afterwards whether it was booked."""


def create_agent(
    client: SupportsChatGetResponse[Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    today: Callable[[], date] = date.today,
) -> Agent[Any]:
    """Return the TravelPlanner on `client`, or on the model that `environ` names, or on its offline script.

    `environ` is the process environment unless given. `today` dates the offline script's trips.

    Raises: `DemoSetupError` when `environ` names a model by halves, or its package is not installed.
    """
    client = client or configured_client(environ) or ScriptedChatClient(TravelScript(today))
    return Agent(
        client=client,
        name="TravelPlanner",
        description="Plans trips day by day, with weather and local events, and books them on approval.",
        instructions=INSTRUCTIONS,
        tools=list(TOOLS),
    )


class TravelScript:
    """What the TravelPlanner says offline: the same messages on the same day always give the same reply."""

    def __init__(self, today: Callable[[], date] = date.today) -> None:
        self._today = today

    def __call__(self, messages: Sequence[Message], options: Mapping[str, Any]) -> Reply:
        said = [message.text for message in messages if message.role == "user" and message.text]
        intent, trip = understand(said, self._today())
        if trip is not None and intent is Intent.PLAN:
            return _plan_reply(trip, _facts(messages))
        if trip is not None and intent is Intent.BOOK:
            return _booking_reply(trip, _facts(_since_last_said(messages)))
        return [Text(small_talk(intent, trip))]


def _plan_reply(trip: Trip, facts: Facts) -> Reply:
    """Ask the tools for what earlier turns did not find out; once everything is known, answer."""
    calls = [call for call in _research(trip) if _key(call.name, call.arguments) not in facts]
    if calls:
        names = ", ".join(dict.fromkeys(str(call.arguments["destination"]) for call in calls))
        return [Reasoning(f"I need the weather and the events for {names}."), *calls]
    return [Text(plan(trip, facts))]


def _research(trip: Trip) -> Iterator[ToolCall]:
    for stop in trip.stops:
        where = {"destination": stop.place.name, "date": trip.day(stop.first_day).isoformat()}
        yield ToolCall(get_weather_forecast.name, where)
        yield ToolCall(get_local_events.name, where)


def _booking_reply(trip: Trip, facts: Facts) -> Reply:
    call = ToolCall(book_trip.name, {"destination": trip.place.name, "date": trip.start.isoformat()})
    result = facts.get(_key(call.name, call.arguments))
    if result is None:
        return [Text(booking_question(trip)), call]
    return [Text(booking_answer(trip, result))]


def _since_last_said(messages: Sequence[Message]) -> Sequence[Message]:
    """Return what came after the traveller's last words: an earlier booking's answer is not this one's."""
    last = max(index for index, message in enumerate(messages) if message.role == "user" and message.text)
    return messages[last + 1 :]


def _facts(messages: Sequence[Message]) -> Facts:
    """Return what the tools have answered in `messages`, failures and refusals included."""
    contents = [content for message in messages for content in message.contents]
    results = {content.call_id: str(content.result) for content in contents if content.type == "function_result"}
    return {
        _key(content.name or "", _arguments(content)): results[content.call_id]
        for content in contents
        if content.type == "function_call" and content.call_id in results
    }


def _key(tool_name: str, arguments: Mapping[str, object]) -> tuple[str, str, str]:
    return tool_name, str(arguments.get("destination")), str(arguments.get("date"))


def _arguments(call: Content) -> Mapping[str, object]:
    return call.parse_arguments() or {}
