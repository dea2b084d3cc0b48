"""Rates: a minute's worth at once, then evenly, for each user apart, in bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.errors import BusyError
from streamsink.core.limits import RateLimiter


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def accepted(limiter: RateLimiter, user: str, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            limiter.spend(user)
        except BusyError:
            continue
        count += 1
    return count


def test_a_minutes_worth_may_come_at_once() -> None:
    assert accepted(RateLimiter(240, Clock()), "me", 300) == 240


def test_an_empty_bucket_says_when_to_come_back_and_means_it() -> None:
    clock = Clock()
    limiter = RateLimiter(60, clock)
    accepted(limiter, "me", 60)

    with pytest.raises(BusyError, match="try again in 1 s") as caught:
        limiter.spend("me")
    assert caught.value.retry_after_s == pytest.approx(1.0)

    clock.now += caught.value.retry_after_s
    assert accepted(limiter, "me", 2) == 1


def test_refused_requests_cost_nothing() -> None:
    clock = Clock()
    limiter = RateLimiter(60, clock)
    accepted(limiter, "me", 1_000)

    clock.now += 60
    assert accepted(limiter, "me", 100) == 60


def test_users_do_not_spend_each_others_tokens() -> None:
    limiter = RateLimiter(1, Clock())

    assert [accepted(limiter, user, 2) for user in ("me", "you")] == [1, 1]


def test_a_flood_of_users_takes_bounded_memory() -> None:
    limiter = RateLimiter(1, Clock(), max_users=10)

    assert all(accepted(limiter, f"user {number}", 1) for number in range(1_000))
    assert limiter.remembered == 10
    assert accepted(limiter, "user 999", 1) == 0


def test_full_buckets_are_forgotten() -> None:
    clock = Clock()
    limiter = RateLimiter(60, clock)
    limiter.spend("me")

    clock.now += 61
    limiter.spend("you")

    assert limiter.remembered == 1


@given(st.integers(1, 600), st.lists(st.floats(0, 5), max_size=200))
def test_no_minute_sees_more_than_twice_the_rate(rate: int, pauses: list[float]) -> None:
    clock = Clock()
    limiter = RateLimiter(rate, clock)
    moments: list[float] = []
    for pause in pauses:
        clock.now += pause
        moments += [clock.now] * accepted(limiter, "me", 5)

    for start in moments:
        assert sum(start <= moment < start + 60 for moment in moments) <= 2 * rate
