"""The TravelPlanner's three tools: weather, events and a booking, all invented and always the same.

A forecast or an event is sample data: nothing is looked up and nothing is bought.
"""

from __future__ import annotations

import datetime
import math
import zlib
from typing import TYPE_CHECKING, Annotated, TypeVar

from agent_framework import tool
from pydantic import Field

from streamsink.demo.destinations import Destination, lookup

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TOOLS", "book_trip", "get_local_events", "get_weather_forecast"]

DestinationName = Annotated[str, Field(description="The city or region, for example Lisbon")]
StartDate = Annotated[str, Field(description="The day, as YYYY-MM-DD")]

T = TypeVar("T")

_SKIES = ("sunny", "sunny with a light breeze", "partly cloudy", "cloudy", "light showers")
_EVENTS = (
    "a street food market",
    "an open-air jazz evening",
    "a guided walk at dusk",
    "a gallery night with free entry",
    "a flea market",
    "a cooking class for beginners",
    "a classical concert in an old church",
    "a film under the stars",
    "a craft fair",
)


@tool
def get_weather_forecast(destination: DestinationName, date: StartDate) -> str:
    """Get the weather forecast for a destination on a date."""
    place = lookup(destination)
    high = place.warmth_c + round(place.swing_c * _summerness(date)) + _pick(place, date, (-2, -1, 0, 1, 2))
    sky = _pick(place, date, _SKIES) if high > 0 else "clear and frosty"
    return f"{place.name} on {date}: {sky}, {high} °C by day, {high - 7} °C at night"


@tool
def get_local_events(destination: DestinationName, date: StartDate) -> str:
    """Get local events at a destination around a date."""
    place = lookup(destination)
    first = _pick(place, date, range(len(_EVENTS)))
    events = [_EVENTS[(first + step) % len(_EVENTS)] for step in (0, 2, 4)]
    return f"Events in {place.name} around {date}: {'; '.join(events)}"


@tool(approval_mode="always_require")
def book_trip(destination: DestinationName, date: StartDate) -> str:
    """Book the trip to a destination from a date on. The traveller is asked for approval first."""
    place = lookup(destination)
    return f"Booked {place.name} from {date}: reference DEMO-{_seed(place, date) % 10_000:04d}"


TOOLS = (get_weather_forecast, get_local_events, book_trip)


def _summerness(date: str) -> float:
    """Return 1 for the middle of July, -1 for the middle of January, and 0 for a date that is none."""
    try:
        day_of_year = datetime.date.fromisoformat(date).timetuple().tm_yday
    except ValueError:
        return 0.0
    return -math.cos(2 * math.pi * (day_of_year - 15) / 365)


def _pick(place: Destination, date: str, choices: Sequence[T]) -> T:
    return choices[_seed(place, date) % len(choices)]


def _seed(place: Destination, date: str) -> int:
    # crc32 rather than hash(), which Python salts anew in every process.
    return zlib.crc32(f"{place.name}/{date}".encode())
