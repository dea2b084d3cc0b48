"""The anonymous cookie: a user per browser, that only this deployment can make."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.identity import Request, User
from streamsink.core.secrets import SecretRing
from streamsink.hosts.identity.anonymous import COOKIE, AnonymousIdentity

OLD, NEW = "o" * 32, "n" * 32
DAY_S = 86_400


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Counter:
    """Randomness that counts."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self, size: int) -> bytes:
        self.given += 1
        return self.given.to_bytes(size, "big")


def identity(secret: str = OLD, *, clock: Clock | None = None, is_secure: bool = False) -> AnonymousIdentity:
    return AnonymousIdentity(SecretRing.parse(secret), clock or Clock(), Counter(), is_secure=lambda _: is_secure)


def request(cookie: str | None = None) -> Request:
    return Request(method="GET", path="/", cookies={} if cookie is None else {COOKIE: cookie})


def set_cookie(user: User) -> str:
    """The value that the browser will send back."""
    [(name, header)] = user.response_headers
    assert name == "set-cookie"
    return SimpleCookie(header)[COOKIE].value


def test_somebody_without_a_cookie_is_a_fresh_user_who_gets_one() -> None:
    knows = identity()

    first, second = knows(request()), knows(request())

    assert first.id != second.id
    assert first.issuer == "anonymous"
    assert not first.is_service


def test_the_cookie_makes_them_the_same_user_without_a_new_one() -> None:
    knows = identity()
    fresh = knows(request())

    again = knows(request(set_cookie(fresh)))

    assert again.id == fresh.id
    assert again.response_headers == ()


@pytest.mark.parametrize("is_secure", [True, False])
def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(is_secure: bool) -> None:
    [(_, header)] = identity(is_secure=is_secure)(request()).response_headers

    attributes = [part.strip() for part in header.split(";")][1:]
    expected = ["Path=/", "Max-Age=31536000", "HttpOnly", "SameSite=Lax"]
    assert attributes == expected + ["Secure"] * is_secure


def test_a_cookie_of_an_older_secret_is_renewed_for_the_same_user() -> None:
    before = identity(f"a:{OLD}")(request())
    knows = identity(f"b:{NEW},a:{OLD}")

    after = knows(request(set_cookie(before)))

    assert after.id == before.id
    assert knows(request(set_cookie(after))).response_headers == ()
    assert identity(f"b:{NEW}")(request(set_cookie(after))).id == before.id


def test_a_cookie_is_renewed_after_a_month_and_void_after_a_year() -> None:
    clock = Clock()
    knows = identity(clock=clock)
    fresh = knows(request())
    cookie = set_cookie(fresh)

    clock.now += 30 * DAY_S
    assert knows(request(cookie)).response_headers == ()

    clock.now += 1
    renewed = knows(request(cookie))
    assert renewed.id == fresh.id

    clock.now += 336 * DAY_S
    assert knows(request(cookie)).id != fresh.id
    assert knows(request(set_cookie(renewed))).id == fresh.id


def test_a_cookie_of_an_unknown_secret_is_nobodys() -> None:
    stranger = identity(NEW)(request())

    user = identity(OLD)(request(set_cookie(stranger)))

    assert user.response_headers
    assert set_cookie(user) != set_cookie(stranger)


@given(st.data())
def test_a_changed_cookie_is_nobodys(data: st.DataObject) -> None:
    knows = identity()
    fresh = knows(request())
    cookie = set_cookie(fresh)
    place = data.draw(st.integers(0, len(cookie) - 1))
    other = data.draw(st.characters().filter(lambda c: c != cookie[place]))

    user = knows(request(cookie[:place] + other + cookie[place + 1 :]))

    assert user.id != fresh.id
    assert user.response_headers


@given(st.text())
def test_no_cookie_does_any_harm(text: str) -> None:
    assert identity()(request(text)).response_headers
