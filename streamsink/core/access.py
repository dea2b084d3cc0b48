"""The default ``authorize``: a thread is its owner's, and of whom the owner gave a ticket."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streamsink.core.identity import Action, User
    from streamsink.core.thread_ids import ThreadIds

__all__ = ["OwnerOnly"]


class OwnerOnly:
    """Allows service users everything, owners their threads, and ticket holders what the ticket says.

    Args:
        thread_ids: knows the threads that carry their owner in their id.
        owner_lookup: the id of the user that a registered thread belongs to (``Timeline.owner``); asked last,
            since it may be a network away. What it raises is raised: nobody gets in because a store is down.
    """

    __slots__ = ("_owner_lookup", "_thread_ids")

    def __init__(self, thread_ids: ThreadIds, owner_lookup: Callable[[str], Awaitable[str | None]]) -> None:
        self._thread_ids = thread_ids
        self._owner_lookup = owner_lookup

    async def __call__(self, user: User, thread: str, action: Action) -> bool:
        """Whether ``user`` may do ``action`` on ``thread``; a thread that nobody owns is nobody's."""
        if user.is_service or self._thread_ids.is_minted_for(thread, user.id):
            return True
        if action in user.tickets.get(thread, frozenset()):
            return True
        return await self._owner_lookup(thread) == user.id
