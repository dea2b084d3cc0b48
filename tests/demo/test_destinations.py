"""The gazetteer, and reading a destination from what people write."""

from __future__ import annotations

import pytest

from streamsink.demo.destinations import DESTINATIONS, Destination, elsewhere, find_destination, fold, lookup

BY_NAME = {place.name: place for place in DESTINATIONS}


def test_there_are_a_few_dozen_destinations_with_names_of_their_own() -> None:
    assert len(BY_NAME) == len(DESTINATIONS) >= 36


@pytest.mark.parametrize("place", DESTINATIONS, ids=lambda place: place.name)
def test_neighbours_are_destinations_in_two_other_countries(place: Destination) -> None:
    countries = {BY_NAME[name].country for name in place.neighbours}

    assert len(countries) == 2
    assert place.country not in countries
    assert len(place.sights) == 4


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Plan a 3-day trip to Lisbon", "Lisbon"),
        ("three days in portugal", "Lisbon"),
        ("from Berlin to REYKJAVÍK in May", "Reykjavik"),
        ("I am from Paris. What about rome?", "Rome"),
        ("south korea please", "Seoul"),
        ("a weekend in NYC", "New York"),
        ("Visit the Faroe Islands in June", "Faroe Islands"),
        ("a trip to porto", "Porto"),
        ("A week in Porto Santo", "Porto Santo"),
    ],
)
def test_a_destination_is_found_in_a_sentence(text: str, name: str) -> None:
    found = find_destination(text)

    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello!",
        "Include neighbouring countries as well",
        "in May",
        "Is this in English?",
        "2 days in total",
        "I want to go to the beach",
        "I come from Berlin",
    ],
)
def test_no_destination_is_found_where_there_is_none(text: str) -> None:
    assert find_destination(text) is None


def test_any_other_place_gets_an_entry_of_its_own() -> None:
    assert lookup("Atlantis") == elsewhere("Atlantis")
    assert elsewhere("Atlantis").full_name == "Atlantis"
    assert lookup(" ").name == "Somewhere"


def test_a_city_state_is_not_named_twice() -> None:
    assert BY_NAME["Singapore"].full_name == "Singapore"
    assert BY_NAME["Lisbon"].full_name == "Lisbon, Portugal"


def test_folding_ignores_accents_capitals_and_curly_apostrophes() -> None:
    assert fold("Don\N{RIGHT SINGLE QUOTATION MARK}t ÉCOLE") == "don't ecole"
