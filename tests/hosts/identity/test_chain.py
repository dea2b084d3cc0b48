"""Several ways to be known, and tickets on top."""

from __future__ import annotations

import pytest

from streamsink.core.errors import ForbiddenError, UnauthenticatedError
from streamsink.core.identity import Identify, Request, User
from streamsink.core.secrets import SecretRing
from streamsink.core.tickets import Tickets
from streamsink.hosts.identity.chain import FirstKnown, WithTickets

ME, YOU = User(subject="me"), User(subject="you")
PLAIN = Request(method="GET", path="/")
TICKETS = Tickets(SecretRing.parse("s" * 32), lambda: 1_000.0)


def nobody(_: Request) -> User | None:
    return None


def me(_: Request) -> User | None:
    return ME


async def you(_: Request) -> User | None:
    return YOU


def wrong(_: Request) -> User | None:
    raise UnauthenticatedError("wrong")


@pytest.mark.parametrize(
    ("ways", "user"),
    [((), None), ((nobody,), None), ((nobody, me, wrong), ME), ((nobody, you, me), YOU)],
)
async def test_the_first_that_knows_the_caller_is_believed(ways: tuple[Identify, ...], user: User | None) -> None:
    assert await FirstKnown(*ways)(PLAIN) == user


async def test_a_wrong_credential_is_not_somebody_lesser() -> None:
    with pytest.raises(UnauthenticatedError):
        await FirstKnown(nobody, wrong, me)(PLAIN)


async def test_tickets_come_in_the_header_and_in_the_query() -> None:
    request = Request(
        method="GET",
        path="/",
        headers={"x-stream-ticket": TICKETS.mint("a", ["read"], 60)},
        query={"ticket": TICKETS.mint("b", ["join"], 60)},
    )

    user = await WithTickets(me, TICKETS)(request)

    assert user is not None
    assert user.id == ME.id
    assert user.tickets == {"a": frozenset({"read"}), "b": frozenset({"join"})}


async def test_without_a_ticket_nothing_is_added() -> None:
    assert await WithTickets(you, TICKETS)(PLAIN) == YOU


async def test_a_ticket_alone_makes_nobody_known() -> None:
    request = Request(method="GET", path="/", query={"ticket": TICKETS.mint("b", ["join"], 60)})

    assert await WithTickets(nobody, TICKETS)(request) is None


async def test_a_wrong_ticket_is_an_error() -> None:
    with pytest.raises(ForbiddenError):
        await WithTickets(me, TICKETS)(Request(method="GET", path="/", query={"ticket": "made-up"}))
