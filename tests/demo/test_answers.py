"""The Markdown of the answers, where the whole conversation does not show it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from streamsink.demo.answers import booking_answer, plan, small_talk
from streamsink.demo.destinations import elsewhere, lookup
from streamsink.demo.trips import Intent, Trip

LISBON = Trip(lookup("Lisbon"), start=date(2026, 5, 12), days=2)


def test_a_plan_has_a_heading_a_table_and_a_list_for_each_day() -> None:
    lines = plan(LISBON, {}).splitlines()

    assert lines[0] == "# 2 days in Lisbon, Portugal"
    assert "| 1-2 | Lisbon, Portugal | no forecast |" in lines
    assert [line for line in lines if line.startswith("## ")] == [
        "## Day 1: Lisbon, Tuesday 12 May 2026",
        "## Day 2: Lisbon, Wednesday 13 May 2026",
    ]


def test_a_plan_uses_what_the_tools_found() -> None:
    facts = {
        ("get_weather_forecast", "Lisbon", "2026-05-12"): "Lisbon on 2026-05-12: snow",
        ("get_local_events", "Lisbon", "2026-05-12"): "Events in Lisbon: a chess night; a parade",
    }

    answer = plan(LISBON, facts)

    assert "| snow |" in answer
    assert answer.index("**Evening:** a chess night") < answer.index("**Evening:** a parade")


def test_a_plan_does_without_a_tool_that_failed() -> None:
    facts = {("get_weather_forecast", "Lisbon", "2026-05-12"): "Error: Function failed."}

    assert "no forecast" in plan(LISBON, facts)


def test_a_brief_plan_has_no_day_lists() -> None:
    answer = plan(replace(LISBON, brief=True), {})

    assert "## Day" not in answer
    assert "shorter" not in answer


def test_places_without_a_day_are_named_as_left_out() -> None:
    trip = replace(LISBON, days=1, extras=(lookup("Madrid"), lookup("Rome")))

    assert "no time left for Madrid and Rome" in plan(trip, {})


def test_many_places_are_listed_with_commas() -> None:
    trip = replace(LISBON, days=5, extras=(lookup("Madrid"), lookup("Rome"), lookup("Paris")))

    assert "with Madrid, Rome and Paris" in plan(trip, {})


def test_neighbours_are_offered_only_where_they_are_known() -> None:
    assert "include neighbouring countries" in plan(LISBON, {})
    assert "include neighbouring countries" not in plan(replace(LISBON, place=elsewhere("Atlantis")), {})


def test_a_booking_that_failed_is_not_called_done() -> None:
    assert "nothing was booked" in booking_answer(LISBON, "Error: Function failed.")


@pytest.mark.parametrize("trip", [None, LISBON])
@pytest.mark.parametrize("intent", [Intent.THANK, Intent.GREET, Intent.UNKNOWN, Intent.DO_NOT_BOOK])
def test_small_talk_always_has_an_answer(intent: Intent, trip: Trip | None) -> None:
    assert small_talk(intent, trip)


def test_an_unknown_request_recalls_the_plan() -> None:
    assert "2 days in Lisbon" in small_talk(Intent.UNKNOWN, LISBON)
