"""Users' own memberships, which outlive their connections. Sans-IO.

Source: the swagger's ``ttl``: omitted, up to a year, of which the latest 100 groups of a user are kept; 0, only the
connections that there are; otherwise seconds, for which later connections of the user join too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["UserGroups"]

_YEAR_S: Final = 365 * 86_400
MAX_WITHOUT_TTL: Final = 100


class UserGroups:
    """Who is a member of what, of one hub.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Of each user the groups, in the order of their latest addition, and when they end; a time to live or not.
        self._groups: dict[str, dict[str, tuple[float, bool]]] = {}

    def add(self, user_id: str, group: str, ttl_s: int | None) -> None:
        """Remember a membership, in place of the one that there was. With a ``ttl_s`` of 0 none is remembered, and
        none forgotten."""
        if ttl_s == 0:
            return
        theirs = self._groups.setdefault(user_id, {})
        theirs.pop(group, None)
        theirs[group] = (self._clock() + (_YEAR_S if ttl_s is None else ttl_s), ttl_s is None)
        without = [name for name, (_, is_long) in theirs.items() if is_long]
        for name in without[:-MAX_WITHOUT_TTL]:
            del theirs[name]

    def remove(self, user_id: str, group: str | None = None) -> None:
        """Forget a membership; None: all of the user's. Again is no error."""
        theirs = self._groups.get(user_id, {})
        if group is not None:
            theirs.pop(group, None)
        if group is None or not theirs:
            self._groups.pop(user_id, None)

    def of(self, user_id: str | None) -> list[str]:
        """The groups that a new connection of the user joins."""
        if user_id is None:
            return []
        now = self._clock()
        theirs = self._groups.get(user_id, {})
        for group in [name for name, (ends, _) in theirs.items() if ends <= now]:
            self.remove(user_id, group)
        return list(theirs)

    def has(self, user_id: str, group: str) -> bool:
        """Whether a membership is remembered."""
        ends, _ = self._groups.get(user_id, {}).get(group, (-math.inf, False))
        return self._clock() < ends
