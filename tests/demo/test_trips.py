"""Reading intents, days and dates from a conversation."""

from __future__ import annotations

from datetime import date

import pytest

from streamsink.demo.destinations import lookup
from streamsink.demo.trips import Intent, Trip, understand

TODAY = date(2026, 3, 1)


def trip_after(*said: str) -> Trip:
    _, trip = understand(said, TODAY)
    assert trip is not None
    return trip


def test_nothing_said_asks_for_nothing() -> None:
    assert understand([], TODAY) == (Intent.UNKNOWN, None)


def test_a_destination_alone_is_three_days_in_two_weeks() -> None:
    assert trip_after("Lisbon") == Trip(lookup("Lisbon"), start=date(2026, 3, 15), days=3)


@pytest.mark.parametrize(
    ("said", "intent"),
    [
        ("Hello", Intent.GREET),
        ("What can you do?", Intent.GREET),
        ("Thanks a lot", Intent.THANK),
        ("Please book it", Intent.BOOK),
        ("Don't book it yet", Intent.DO_NOT_BOOK),
        ("Shorter, please", Intent.PLAN),
        ("Show me the itinerary again", Intent.PLAN),
        ("What about Rome?", Intent.PLAN),
        ("Colourless green ideas", Intent.UNKNOWN),
    ],
)
def test_the_last_words_say_what_is_wanted(said: str, intent: Intent) -> None:
    assert understand(["3 days in Lisbon", said], TODAY)[0] is intent


@pytest.mark.parametrize(
    ("said", "days"),
    [
        ("5 days in Rome", 5),
        ("a 4-day trip to Rome", 4),
        ("two nights in Rome", 2),
        ("a week in Rome", 7),
        ("a weekend in Rome", 2),
        ("a fortnight in Rome", 14),
        ("a day in Rome", 1),
        ("0 days in Rome", 1),
        ("99 days in Rome", 14),
        ("Rome", 3),
    ],
)
def test_days(said: str, days: int) -> None:
    assert trip_after(said).days == days


@pytest.mark.parametrize(
    ("said", "start"),
    [
        ("Rome from 2026-05-12", date(2026, 5, 12)),
        ("Rome on 12 May", date(2026, 5, 12)),
        ("Rome on the 1st of June", date(2026, 6, 1)),
        ("Rome on May 12th", date(2026, 5, 12)),
        ("Rome in May", date(2026, 5, 15)),
        ("Rome in January", date(2027, 1, 15)),
        ("Rome tomorrow", date(2026, 3, 2)),
        ("Rome on 31 February", date(2026, 3, 15)),
        ("Rome on 2026-13-40", date(2026, 3, 15)),
        ("Rome on 2019-05-12", date(2026, 3, 15)),
        ("Rome on 9999-12-31", date(2026, 3, 15)),
    ],
)
def test_dates(said: str, start: date) -> None:
    assert trip_after(said).start == start


def test_29_february_without_one_next_year_is_no_date() -> None:
    _, trip = understand(["Rome on 29 February"], date(2024, 3, 1))

    assert trip is not None
    assert trip.start == date(2024, 3, 15)


def test_neighbours_join_for_the_last_days_and_the_rest_stays() -> None:
    before = trip_after("4 days in Lisbon in May")
    after = trip_after("4 days in Lisbon in May", "Include neighbouring countries as well")

    assert (after.place, after.start, after.days) == (before.place, before.start, before.days)
    assert [(stop.place.name, stop.first_day, stop.days) for stop in after.stops] == [
        ("Lisbon", 1, 2),
        ("Madrid", 3, 1),
        ("Marrakesh", 4, 1),
    ]


def test_a_day_trip_has_no_day_left_for_neighbours() -> None:
    trip = trip_after("1 day in Lisbon", "include neighbouring countries")

    assert [stop.place.name for stop in trip.stops] == ["Lisbon"]
    assert len(trip.extras) == 2


def test_a_named_place_can_be_added() -> None:
    assert [stop.place.name for stop in trip_after("3 days in Lisbon", "Add Vienna too").stops] == [
        "Lisbon",
        "Vienna",
    ]


def test_a_new_destination_keeps_days_and_dates_but_not_the_neighbours() -> None:
    trip = trip_after("5 days in Lisbon on 12 May", "with neighbouring countries", "No, Tokyo instead")

    assert (trip.place.name, trip.days, trip.start, trip.extras) == ("Tokyo", 5, date(2026, 5, 12), ())


def test_brief_stays_until_more_is_wanted() -> None:
    said = ["Lisbon", "make it shorter", "4 days"]

    assert trip_after(*said).brief
    assert not trip_after(*said, "in more detail").brief


def test_changes_without_a_destination_wait_for_one() -> None:
    assert understand(["5 days, with neighbouring countries, in May"], TODAY) == (Intent.UNKNOWN, None)
