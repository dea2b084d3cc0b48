"""Faults as the command line writes them: ``send:status=503,after,probability=0.05``."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from streamsink.backends.signalr.twin.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["parse_fault"]

_NUMBERS: Final[Mapping[str, type[int] | type[float]]] = {
    "probability": float,
    "count": int,
    "delay_s": float,
    "status": int,
    "retry_after_s": int,
}
_FLAGS: Final = tuple(each.name for each in fields(Fault) if each.name not in (*_NUMBERS, "on"))


def parse_fault(text: str) -> Fault:
    """A rule: an operation, a colon, and what goes wrong, separated by commas.

    Raises:
        ValueError: what is wrong with it.
    """
    operation, _, rest = text.partition(":")
    what: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        name, equals, value = part.partition("=")
        if name in what:
            raise ValueError(f"{name} is there twice")
        if name in _FLAGS and not equals:
            what[name] = True
        elif name in _NUMBERS and equals:
            what[name] = _number(name, value)
        else:
            raise ValueError(f"{part!r} should be one of {', '.join((*_FLAGS, *(f'{each}=…' for each in _NUMBERS)))}")
    return Fault(on=operation.strip(), **what)


def _number(name: str, value: str) -> float:
    try:
        return _NUMBERS[name](value)
    except ValueError:
        raise ValueError(f"{name} should be a number, not {value!r}") from None
