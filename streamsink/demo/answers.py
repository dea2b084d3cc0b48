"""The Markdown that the TravelPlanner answers with."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from streamsink.demo.trips import MAX_DAYS, Intent, Stop, Trip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["BOOKED", "Facts", "booking_answer", "booking_question", "plan", "small_talk"]

#: What the tools said, by (tool, destination, date).
Facts: TypeAlias = "Mapping[tuple[str, str, str], str]"

#: How the booking tool's result begins when the booking was made.
BOOKED = "Booked "

_SAMPLE_DATA = "*An offline demo: weather and events are invented.*"
_IDEAS = (
    "a slow breakfast and a walk without a map",
    "the food market and whatever smells best",
    "a boat, a bicycle or a tram to somewhere unplanned",
    "a museum that is not in the guidebooks",
)


def plan(trip: Trip, facts: Facts) -> str:
    """Return the answer for `trip`: heading, table and day plan, or only the table when it is to be brief."""
    parts = [_heading(trip), _opening(trip), _table(trip, facts)]
    if not trip.brief:
        parts += _days(trip, facts)
    return "\n\n".join((*parts, _closing(trip), _SAMPLE_DATA))


def booking_question(trip: Trip) -> str:
    """Return what is said before the booking tool asks for approval."""
    return f"I am about to book **{_summary(trip)}**, from {_date(trip, 1)}. Shall I?"


def booking_answer(trip: Trip, result: str) -> str:
    """Return what is said after the traveller, and perhaps the tool, has answered."""
    if result.startswith(BOOKED):
        return f"**Done.** {result}. Have a wonderful time!\n\n*An offline demo: nothing was really bought.*"
    return f"All right, **nothing was booked**. The plan stays: {_summary(trip)}. Tell me what to change."


def small_talk(intent: Intent, trip: Trip | None) -> str:
    """Return the answer to everything that is neither a plan nor a booking."""
    if intent is Intent.THANK:
        return "You are welcome! Enjoy the journey." if trip else "You are welcome!"
    if intent is Intent.DO_NOT_BOOK:
        return "Nothing is booked."
    if intent is Intent.GREET:
        return 'Hello! I am the **TravelPlanner**. Say where to, for example *"Plan 3 days in Lisbon in May"*.'
    if trip is None:
        return 'I plan trips. Tell me a **destination** and how long, for example *"A weekend in Tokyo"*.'
    return (
        f"Our plan so far: **{_summary(trip)}**. I can change the days (up to {MAX_DAYS}), the date or the "
        'destination, add a place (*"add Vienna"*), add neighbouring countries, make it shorter, or book it.'
    )


def _summary(trip: Trip) -> str:
    also = [stop.place.name for stop in trip.stops[1:]]
    return f"{_span(trip.days)} in {trip.place.full_name}" + (f" with {_listed(also)}" if also else "")


def _date(trip: Trip, number: int) -> str:
    day = trip.day(number)
    return f"{day.day} {day:%B %Y}"


def _span(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _heading(trip: Trip) -> str:
    return f"# {_summary(trip)}"


def _opening(trip: Trip) -> str:
    dates = f"from **{_date(trip, 1)}** to **{_date(trip, trip.days)}**"
    if not trip.extras:
        return f"Here is your trip to **{trip.place.name}**, {dates}."
    extras = trip.stops[1:]
    left_out = trip.extras[len(extras) :]
    sentences = [f"Still {_span(trip.days)} with **{trip.place.name}** as your base, {dates}."]
    if extras:
        places = _listed([f"**{stop.place.full_name}**" for stop in extras])
        sentences.append(f"Now the neighbours join in: {places}.")
    if left_out:
        names = _listed([place.name for place in left_out])
        sentences.append(f"There is no time left for {names}; a longer trip would have some.")
    return " ".join(sentences)


def _table(trip: Trip, facts: Facts) -> str:
    rows = [f"| {_day_numbers(stop)} | {stop.place.full_name} | {_weather(trip, stop, facts)} |" for stop in trip.stops]
    return "\n".join(("| Day | Where | Weather |", "|---|---|---|", *rows))


def _day_numbers(stop: Stop) -> str:
    last = stop.first_day + stop.days - 1
    return f"{stop.first_day}" if stop.days == 1 else f"{stop.first_day}-{last}"


def _days(trip: Trip, facts: Facts) -> Iterator[str]:
    for stop in trip.stops:
        events = _events(trip, stop, facts)
        for index in range(stop.days):
            number = stop.first_day + index
            yield "\n".join(
                (
                    f"## Day {number}: {stop.place.name}, {trip.day(number):%A} {_date(trip, number)}",
                    "",
                    f"- **Morning:** {_idea(stop, 2 * index)}",
                    f"- **Afternoon:** {_idea(stop, 2 * index + 1)}",
                    f"- **Evening:** {events[index % len(events)]}",
                )
            )


def _idea(stop: Stop, index: int) -> str:
    ideas = (*stop.place.sights, *_IDEAS)
    return ideas[index % len(ideas)]


def _weather(trip: Trip, stop: Stop, facts: Facts) -> str:
    return _fact("get_weather_forecast", trip, stop, facts) or "no forecast"


def _events(trip: Trip, stop: Stop, facts: Facts) -> list[str]:
    return (_fact("get_local_events", trip, stop, facts) or "dinner where the locals eat").split("; ")


def _fact(tool_name: str, trip: Trip, stop: Stop, facts: Facts) -> str:
    """Return what the tool found out, or nothing when it failed: its answers read "about what: facts"."""
    said = facts.get((tool_name, stop.place.name, trip.day(stop.first_day).isoformat()), "")
    return "" if said.startswith("Error") else said.partition(": ")[2]


def _closing(trip: Trip) -> str:
    offers = ["change the dates", "**book it**"]
    if not trip.brief:
        offers.insert(0, "make it **shorter**")
    if trip.place.neighbours and not trip.extras:
        offers.insert(0, "**include neighbouring countries** as well")
    return f"Shall I {', '.join(offers[:-1])} or {offers[-1]}?"
