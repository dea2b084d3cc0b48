"""Environment variables as typed values.

A settings type is a frozen dataclass whose fields are annotated with the variable that sets them::

    lease_s: Annotated[float, number("STREAM_LEASE_S", Range(1, 3_600))] = 30

``read`` fills it from a mapping. Fields without a variable keep their defaults; fields that are settings
types themselves are read too. A type refuses in its ``__post_init__`` what does not go together, or is
missing: whoever reads it is told. Every error names the variable and what it should be, and quotes nothing
of its value: values may be secrets.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, get_type_hints

from streamsink.core.errors import SettingsError
from streamsink.core.origins import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

__all__ = [
    "Range",
    "Variable",
    "absolute_url",
    "choice",
    "number",
    "read",
    "refuse_unknown",
    "several",
    "variable_names",
    "variables",
    "whole",
]

PREFIX: Final = "STREAM_"
_WHOLE: Final = re.compile(r"[0-9]{1,15}")
_NUMBER: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
_URL: Final = re.compile(r"[!\"$-~]{1,2000}")

_T = TypeVar("_T")


class Range(NamedTuple):
    """What a number may be, both ends included."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable.

    Args:
        name: as it is set.
        expected: what it should be, as the end of the sentence "… should be".
        parse: its value from stripped, non-empty text; raises ValueError when it is not as expected.
    """

    name: str
    expected: str
    parse: Callable[[str], Any]

    def read(self, environ: Mapping[str, str]) -> Any:
        """The value; None when the variable is not set, or empty, as templates leave what they do not need.

        Raises:
            SettingsError: it is not as expected.
        """
        text = environ.get(self.name, "").strip()
        if not text:
            return None
        try:
            return self.parse(text)
        except ValueError:
            # Without its cause, which quotes the value.
            raise SettingsError(self.name, self.expected) from None


def whole(name: str, within: Range) -> Variable:
    """A whole number."""

    def parse(text: str) -> int:
        return int(_inside(within, text if _WHOLE.fullmatch(text) else ""))

    return Variable(name, f"a whole number, {within}", parse)


def number(name: str, within: Range) -> Variable:
    """A number that may have decimals, for durations."""

    def parse(text: str) -> float:
        return _inside(within, text if _NUMBER.fullmatch(text) else "")

    return Variable(name, f"a number, {within}", parse)


def choice(name: str, *values: str) -> Variable:
    """One of a few words."""

    def parse(text: str) -> str:
        return values[values.index(text)]

    return Variable(name, " or ".join(f"`{value}`" for value in values), parse)


def several(name: str, expected: str, parse: Callable[[str], str]) -> Variable:
    """Entries separated by commas, each read by ``parse``; empty entries are left out."""

    def parse_all(text: str) -> tuple[str, ...]:
        return tuple(parse(entry.strip()) for entry in text.split(",") if entry.strip())

    return Variable(name, expected, parse_all)


def absolute_url(text: str) -> str:
    """``text``, when it is an ``http`` or ``https`` URL without user name and fragment, for use in ``parse``.

    Raises:
        ValueError: it is not.
    """
    origin = Origin.of_url(text)
    if origin is None or origin.scheme not in ("http", "https") or not _URL.fullmatch(text):
        raise ValueError("not an absolute http or https URL")
    return text


def read(settings: type[_T], environ: Mapping[str, str]) -> _T:
    """The settings that ``environ`` describes.

    Args:
        settings: a settings type, as above.
        environ: ``os.environ``, or a test's.

    Raises:
        SettingsError: a variable is not as expected, or the type refuses what they are together.
    """
    values: dict[str, Any] = {}
    for field, hint in get_type_hints(settings, include_extras=True).items():
        value = read(hint, environ) if _is_nested(hint) else _read_field(hint, environ)
        if value is not None:
            values[field] = value
    return settings(**values)


def variables(settings: type[Any]) -> Iterator[tuple[Variable, Any]]:
    """Every variable of a settings type, with the default of its field, in the order of the fields."""
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    for field, hint in get_type_hints(settings, include_extras=True).items():
        if _is_nested(hint):
            yield from variables(hint)
        elif (variable := _variable(hint)) is not None:
            yield variable, defaults[field]


def variable_names(settings: type[Any]) -> frozenset[str]:
    """The names of a settings type's variables."""
    return frozenset(variable.name for variable, _ in variables(settings))


def refuse_unknown(environ: Mapping[str, str], known: Collection[str]) -> None:
    """Return when every variable that begins with ``STREAM_`` is known.

    Raises:
        SettingsError: one is not, and would have been ignored in silence; names the nearest that is.
    """
    for name in environ:
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            instead = f"{near[0]}, perhaps" if near else "removed"
            raise SettingsError(name, f"{instead}; there is no setting of that name")


def _inside(within: Range, text: str) -> float:
    value = float(text)
    if not within.low <= value <= within.high:
        raise ValueError(within)
    return value


def _is_nested(hint: Any) -> bool:
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def _read_field(hint: Any, environ: Mapping[str, str]) -> Any:
    variable = _variable(hint)
    return None if variable is None else variable.read(environ)


def _variable(hint: Any) -> Variable | None:
    found = [extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Variable)]
    return found[0] if found else None
