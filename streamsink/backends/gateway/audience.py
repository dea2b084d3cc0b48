"""Whom a message is for, or whose connections are closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["EVERYBODY", "Audience"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Connections of a hub: one, a user's, a group's, or, where none of them is named, all.

    Args:
        connection_id: the one connection.
        user_id: whose connections.
        group: the name of the group.
        excluded: ids of connections that are not meant; unknown ones are harmless.
    """

    connection_id: str | None = None
    user_id: str | None = None
    group: str | None = None
    excluded: Collection[str] = frozenset()


EVERYBODY: Final = Audience()
