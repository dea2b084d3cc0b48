"""Who may do what on a thread."""

from __future__ import annotations

import secrets

import pytest

from streamsink.core.access import OwnerOnly
from streamsink.core.errors import UnavailableError
from streamsink.core.identity import Authorize, User
from streamsink.core.secrets import SecretRing
from streamsink.core.thread_ids import ThreadIds

IDS = ThreadIds(SecretRing.parse("s" * 32), secrets.token_bytes)
ME, YOU = User(subject="me"), User(subject="you")


class Register:
    """Owners of registered threads, counting how often it is asked."""

    def __init__(self, **owners: str) -> None:
        self.owners = owners
        self.asked: list[str] = []

    async def owner(self, thread: str) -> str | None:
        self.asked.append(thread)
        return self.owners.get(thread)


async def test_a_minted_thread_is_its_owners_without_a_look_into_the_store() -> None:
    register = Register()
    may = OwnerOnly(IDS, register.owner)
    thread = IDS.mint(ME.id)

    assert await may(ME, thread, "delete")
    assert register.asked == []
    assert not await may(YOU, thread, "read")


async def test_a_registered_thread_is_its_owners() -> None:
    may = OwnerOnly(IDS, Register(t42=ME.id).owner)

    assert await may(ME, "t42", "run")
    assert not await may(YOU, "t42", "run")


async def test_a_thread_that_nobody_owns_is_nobodys() -> None:
    assert not await OwnerOnly(IDS, Register().owner)(ME, "t42", "join")


async def test_a_ticket_allows_what_it_says_where_it_says() -> None:
    may = OwnerOnly(IDS, Register(t42=ME.id).owner)
    guest = YOU.with_ticket("t42", frozenset({"join", "read"}))

    assert await may(guest, "t42", "read")
    assert not await may(guest, "t42", "delete")
    assert not await may(guest, "t43", "read")


async def test_a_service_user_may_everything() -> None:
    office = User(subject="office", is_service=True)

    assert await OwnerOnly(IDS, Register().owner)(office, "t42", "delete")


async def test_a_store_that_is_down_lets_nobody_in() -> None:
    async def down(_: str) -> str | None:
        raise UnavailableError("down")

    with pytest.raises(UnavailableError):
        await OwnerOnly(IDS, down)(ME, "t42", "read")


def test_it_is_an_authorize_function() -> None:
    function: Authorize = OwnerOnly(IDS, Register().owner)

    assert callable(function)
