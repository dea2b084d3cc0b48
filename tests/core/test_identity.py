from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.identity import Request, User, resolve

names = st.text(max_size=8)


@given(names, names)
def test_a_user_id_is_opaque_url_safe_and_always_the_same(subject: str, issuer: str) -> None:
    user = User(subject=subject, issuer=issuer)

    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", user.id)
    assert User(subject=subject, issuer=issuer, is_service=True).id == user.id


@given(names, names, names, names)
def test_different_people_have_different_ids(subject: str, issuer: str, other: str, other_issuer: str) -> None:
    """Also when subject and issuer, written one after the other, look the same."""
    same = (subject, issuer) == (other, other_issuer)

    assert (User(subject=subject, issuer=issuer).id == User(subject=other, issuer=other_issuer).id) == same


def test_tickets_add_up() -> None:
    user = User(subject="alice").with_ticket("t", frozenset({"read"}))

    more = user.with_ticket("t", frozenset({"join"})).with_ticket("u", frozenset({"run"}))

    assert more.tickets == {"t": {"read", "join"}, "u": {"run"}}
    assert user.tickets == {"t": {"read"}}


def test_a_request_needs_no_more_than_method_and_path() -> None:
    request = Request(method="GET", path="/api/health")

    assert (request.query, request.headers, request.cookies, request.native) == ({}, {}, {}, None)


async def test_sync_and_async_answers_are_the_same() -> None:
    async def later() -> str:
        return "x"

    assert await resolve("x") == "x"
    later_said: str = await resolve(later())
    assert later_said == "x"
