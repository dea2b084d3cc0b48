"""Several ways to be known, one after the other; and what tickets add to whoever is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamsink.core.identity import resolve

if TYPE_CHECKING:
    from streamsink.core.identity import Identify, Request, User
    from streamsink.core.tickets import Tickets

__all__ = ["TICKET_HEADER", "TICKET_QUERY", "FirstKnown", "WithTickets"]

TICKET_HEADER: Final = "x-stream-ticket"
TICKET_QUERY: Final = "ticket"


class FirstKnown:
    """Asks each in turn, until one knows the caller.

    A wrong credential ends it: what that one raises is raised, and nobody is let in as somebody lesser.
    """

    __slots__ = ("_ways",)

    def __init__(self, *ways: Identify) -> None:
        self._ways = ways

    async def __call__(self, request: Request) -> User | None:
        """The caller; None when nobody knows them."""
        for way in self._ways:
            user = await resolve(way(request))
            if user is not None:
                return user
        return None


class WithTickets:
    """Adds to a known caller what the tickets allow that the request carries.

    One may be in the header ``x-stream-ticket``, one in the query as ``ticket``.

    Args:
        identify: knows the caller: a ticket alone makes nobody known.
        tickets: reads them.
    """

    __slots__ = ("_identify", "_tickets")

    def __init__(self, identify: Identify, tickets: Tickets) -> None:
        self._identify = identify
        self._tickets = tickets

    async def __call__(self, request: Request) -> User | None:
        """The caller, with their tickets; None when nobody knows them.

        Raises:
            ForbiddenError: a ticket has expired or is not valid here.
        """
        user = await resolve(self._identify(request))
        if user is None:
            return None
        for text in (request.headers.get(TICKET_HEADER), request.query.get(TICKET_QUERY)):
            if text:
                ticket = self._tickets.verify(text)
                user = user.with_ticket(ticket.thread, ticket.actions)
        return user
