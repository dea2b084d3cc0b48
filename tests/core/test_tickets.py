"""Tickets: what they say, until when, and that nobody else can write one."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.errors import ForbiddenError, InvalidRequestError
from streamsink.core.secrets import SecretRing
from streamsink.core.tickets import MAX_LIFETIME_S, Ticket, Tickets

if TYPE_CHECKING:
    from streamsink.core.identity import Action

NOW = 1_700_000_000.5
RING = SecretRing.parse("s" * 32)


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def test_a_ticket_says_what_was_put_into_it() -> None:
    tickets = Tickets(RING, Clock())

    text = tickets.mint("t", ["join", "read"], 60)

    assert tickets.verify(text) == Ticket("t", frozenset({"join", "read"}), 1_700_000_061)


def test_the_longest_ticket_fits_into_a_url() -> None:
    every: list[Action] = ["join", "leave", "run", "cancel", "approve", "read", "delete"]

    assert len(Tickets(RING, Clock()).mint("t" * 200, every, MAX_LIFETIME_S)) <= 600


def test_a_ticket_lives_as_long_as_was_said_and_then_no_more() -> None:
    clock = Clock()
    tickets = Tickets(RING, clock)
    text = tickets.mint("t", ["read"], 60)

    clock.now = NOW + 60
    assert tickets.verify(text).thread == "t"

    clock.now = NOW + 61
    with pytest.raises(ForbiddenError, match="ask for a new one"):
        tickets.verify(text)


@given(st.data())
def test_a_changed_ticket_is_refused(data: st.DataObject) -> None:
    tickets = Tickets(RING, Clock())
    text = tickets.mint("t", ["read"], 60)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda c: c != text[place]))

    with pytest.raises(ForbiddenError):
        tickets.verify(text[:place] + other + text[place + 1 :])


@given(st.text())
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ForbiddenError):
        Tickets(RING, Clock()).verify(text)


def test_what_was_signed_for_something_else_is_refused() -> None:
    tickets = Tickets(RING, Clock())
    payload = tickets.mint("t", ["read"], 60).split(".")[0]

    with pytest.raises(ForbiddenError):
        tickets.verify(RING.sign("thread id", payload))


@pytest.mark.parametrize(
    "payload", [b"x", msgspec.msgpack.encode({"thread": "t", "actions": ["fly"], "expires": 9**12})]
)
def test_a_ticket_of_another_version_is_refused(payload: bytes) -> None:
    text = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()

    with pytest.raises(ForbiddenError):
        Tickets(RING, Clock()).verify(RING.sign("ticket", text))


def test_signed_text_that_is_no_base64_is_refused() -> None:
    with pytest.raises(ForbiddenError):
        Tickets(RING, Clock()).verify(RING.sign("ticket", "a"))


@pytest.mark.parametrize(
    ("thread", "actions", "lifetime_s"),
    [
        ("a/b", ["read"], 60),
        ("t", [], 60),
        ("t", ["fly"], 60),
        ("t", ["read"], 0),
        ("t", ["read"], MAX_LIFETIME_S + 1),
        ("t", ["read"], float("nan")),
    ],
)
def test_what_cannot_be_granted_is_not_minted(thread: str, actions: list[Any], lifetime_s: float) -> None:
    with pytest.raises(InvalidRequestError):
        Tickets(RING, Clock()).mint(thread, cast("list[Action]", actions), lifetime_s)
