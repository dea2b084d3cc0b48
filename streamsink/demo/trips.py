"""What the traveller wants, read from everything they have said so far."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from streamsink.demo.destinations import Destination, find_destination, fold, lookup

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_DAYS", "Intent", "Stop", "Trip", "understand"]

DEFAULT_DAYS = 3
MAX_DAYS = 14
#: How far ahead a trip starts when nobody has said when, in days.
DEFAULT_LEAD_DAYS = 14
#: How far ahead a trip may start, in days.
FURTHEST_DAYS = 730


class Intent(Enum):
    """What the last thing said asks for."""

    PLAN = "plan"
    BOOK = "book"
    DO_NOT_BOOK = "do not book"
    THANK = "thank"
    GREET = "greet"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Stop:
    """One place of a trip with the days spent there, numbered from 1."""

    place: Destination
    first_day: int
    days: int


@dataclass(frozen=True)
class Trip:
    """A journey as agreed so far; `extras` are places in other countries, `brief` wants a short answer."""

    place: Destination
    start: date
    days: int = DEFAULT_DAYS
    extras: tuple[Destination, ...] = ()
    brief: bool = False

    @property
    def stops(self) -> tuple[Stop, ...]:
        """The places in order: the last days go to the extras, one each, as far as the days reach."""
        extras = self.extras[: self.days - 1]
        base_days = self.days - len(extras)
        return (
            Stop(self.place, 1, base_days),
            *(Stop(place, base_days + number, 1) for number, place in enumerate(extras, start=1)),
        )

    def day(self, number: int) -> date:
        """Return the date of day `number`."""
        return self.start + timedelta(days=number - 1)


_ADD = re.compile(r"\b(add|include|also|too|as well|combine)\b")
_NEIGHBOURS = re.compile(r"\b(neighbou?r\w*|nearby countr\w*|surrounding countr\w*)\b")
_BRIEF = re.compile(r"\b(short|shorter|brief\w*|summar\w*|tl;?dr|concise)\b")
_FULL = re.compile(r"\b(longer|more detail\w*|in detail|elaborate|full plan)\b")
_AGAIN = re.compile(r"\b(instead|plan|itinerary|trip|weather|events)\b")
_DO_NOT_BOOK = re.compile(r"\b(do not|don'?t|never|no need to) (book|reserve)\b|\bcancel\b")
_BOOK = re.compile(r"\b(book|reserve)\b")
_THANK = re.compile(r"\b(thanks?|thank you|cheers|great|perfect|lovely|wonderful|goodbye|bye)\b")
_GREET = re.compile(r"\b(hi|hello|hey|good (morning|afternoon|evening)|who are you|what can you do|help|how are you)\b")

_NUMBER_WORDS = "one|two|three|four|five|six|seven|eight|nine|ten"
_NUMBERS = {"a": 1} | {word: number for number, word in enumerate(_NUMBER_WORDS.split("|"), start=1)}
_SPAN = re.compile(rf"\b(\d{{1,3}}|{'|'.join(_NUMBERS)})[\s-]*(day|night|week)s?\b")
_MONTH_NAMES = "january|february|march|april|may|june|july|august|september|october|november|december"
_MONTHS: list[str] = [*_MONTH_NAMES.split("|")]
_MONTH = f"({_MONTH_NAMES})"
_ISO_DATE = re.compile(r"\b(\d{4}-\d{2}-\d{2})\b")
_DAY_MONTH = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH}\b")
_MONTH_DAY = re.compile(rf"\b{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?\b")
_IN_MONTH = re.compile(rf"\b(?:in|next|this|early|late|mid) {_MONTH}\b")
_RELATIVE = {"today": 0, "tomorrow": 1, "next week": 7, "in two weeks": 14, "next month": 30}


def understand(said: Iterable[str], today: date) -> tuple[Intent, Trip | None]:
    """Return what the last of the traveller's messages asks for, and the trip that all of them describe.

    The same messages on the same day always give the same answer.
    """
    intent, trip = Intent.UNKNOWN, None
    for text in said:
        intent, trip = _hear(text, trip, today)
    return intent, trip


def _hear(text: str, trip: Trip | None, today: date) -> tuple[Intent, Trip | None]:
    folded = fold(text)
    changed = _change(text, folded, trip, today)
    if _DO_NOT_BOOK.search(folded):
        return Intent.DO_NOT_BOOK, changed
    if _BOOK.search(folded):
        return Intent.BOOK, changed
    if changed is not None and (changed != trip or _AGAIN.search(folded)):
        return Intent.PLAN, changed
    if _THANK.search(folded):
        return Intent.THANK, trip
    if _GREET.search(folded):
        return Intent.GREET, trip
    return Intent.UNKNOWN, trip


def _change(text: str, folded: str, trip: Trip | None, today: date) -> Trip | None:
    """Return the trip with what `text` changes about it; a new place keeps the days and the dates."""
    trip = _with_place(text, folded, trip, today)
    if trip is None:
        return None
    if _NEIGHBOURS.search(folded):
        neighbours = tuple(lookup(name) for name in trip.place.neighbours)
        trip = replace(trip, extras=tuple(dict.fromkeys((*trip.extras, *neighbours))))
    return replace(
        trip,
        days=_days(folded) or trip.days,
        start=_date(folded, today) or trip.start,
        brief=bool(_BRIEF.search(folded)) or (trip.brief and not _FULL.search(folded)),
    )


def _with_place(text: str, folded: str, trip: Trip | None, today: date) -> Trip | None:
    place = find_destination(text)
    if trip is None:
        return None if place is None else Trip(place, start=today + timedelta(days=DEFAULT_LEAD_DAYS))
    if place is None or place == trip.place:
        return trip
    if _ADD.search(folded):
        return replace(trip, extras=tuple(dict.fromkeys((*trip.extras, place))))
    return replace(trip, place=place, extras=())


def _days(folded: str) -> int | None:
    """Return the number of days that `folded` names, within what the planner plans."""
    if "weekend" in folded:
        return 2
    if "fortnight" in folded:
        return 14
    match = _SPAN.search(folded)
    if match is None:
        return None
    count = int(match[1]) if match[1].isdigit() else _NUMBERS[match[1]]
    return max(1, min(count * (7 if match[2] == "week" else 1), MAX_DAYS))


def _date(folded: str, today: date) -> date | None:
    """Return the date that `folded` names, if the calendar has it and it is neither past nor years away."""
    try:
        named = _named_date(folded, today)
    except ValueError:
        return None
    return named if named and today <= named <= today + timedelta(days=FURTHEST_DAYS) else None


def _named_date(folded: str, today: date) -> date | None:
    if match := _ISO_DATE.search(folded):
        return date.fromisoformat(match[1])
    if match := _DAY_MONTH.search(folded):
        return _coming(match[2], int(match[1]), today)
    if match := _MONTH_DAY.search(folded):
        return _coming(match[1], int(match[2]), today)
    if match := _IN_MONTH.search(folded):
        return _coming(match[1], 15, today)
    return next((today + timedelta(days=days) for word, days in _RELATIVE.items() if word in folded), None)


def _coming(month: str, day: int, today: date) -> date:
    this_year = date(today.year, _MONTHS.index(month) + 1, day)
    # 29 February has no next year to move to; that ValueError says "no date" like any other.
    return this_year if this_year >= today else this_year.replace(year=today.year + 1)
