"""Checks of what a deployment depends on, as values: ``streamsink doctor`` looks, one after the other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from streamsink.core.errors import StreamSinkError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

__all__ = ["Check", "Doubt", "Finding", "Verdict", "examine"]

Verdict: TypeAlias = Literal["ok", "note", "failed", "skipped"]

_LOOK_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Doubt:
    """What was found works, and may still not be what is wanted.

    Args:
        text: what was found.
        advice: what to do about it.
    """

    text: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing to look at.

    Args:
        name: of what is looked at; unique among those that are looked at together.
        look: looks, and says what it found, without secrets. Raises StreamSinkError when it is not as it should be.
        advice: what to do then.
        needs: names of earlier checks without whose success this one would say nothing.
    """

    name: str
    look: Callable[[], Awaitable[str | Doubt]]
    advice: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a check.

    Args:
        text: what was found.
        advice: what to do; empty where nothing is to be done.
    """

    verdict: Verdict
    name: str
    text: str
    advice: str = ""


async def examine(checks: Iterable[Check], *, look_s: float = _LOOK_S) -> AsyncIterator[Finding]:
    """Look, in this order; what needs something that failed is skipped. Never raises but for cancellation.

    Args:
        look_s: for each check.
    """
    wrong: set[str] = set()
    for check in checks:
        missing = [name for name in check.needs if name in wrong]
        if missing:
            finding = Finding("skipped", check.name, f"needs: {', '.join(missing)}")
        else:
            finding = await _look(check, look_s)
        if finding.verdict in ("failed", "skipped"):
            wrong.add(check.name)
        yield finding


async def _look(check: Check, look_s: float) -> Finding:
    try:
        async with asyncio.timeout(look_s):
            found = await check.look()
    except StreamSinkError as error:
        return Finding("failed", check.name, str(error), check.advice)
    except TimeoutError:
        return Finding("failed", check.name, f"nothing within {look_s:g} s", check.advice)
    except Exception as error:  # only its type: the text of a foreign error may quote anything
        return Finding("failed", check.name, type(error).__name__, check.advice)
    if isinstance(found, Doubt):
        return Finding("note", check.name, found.text, found.advice)
    return Finding("ok", check.name, found)
