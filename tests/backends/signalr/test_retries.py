"""When to try again, and whether the service is well."""

from __future__ import annotations

import pytest

from streamsink.backends.signalr import replies
from streamsink.backends.signalr.replies import ServiceError
from streamsink.backends.signalr.retries import Health, RetryPolicy

PASSING = ServiceError("busy", "service")
THROTTLED = ServiceError("enough", "throttled")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def same(seconds: float) -> float:
    return seconds


@pytest.mark.parametrize(("tried", "wait_s"), [(1, 0.2), (2, 0.4), (3, 0.8), (4, 1.0), (5, None)])
def test_waits_double_up_to_a_bound(tried: int, wait_s: float | None) -> None:
    assert RetryPolicy(retries=4, longest_wait_s=1.0).wait_s(tried, PASSING, same) == wait_s


def test_what_the_service_asks_for_goes_first() -> None:
    policy = RetryPolicy()

    assert policy.wait_s(1, ServiceError("", "throttled", retry_after_s=7), same) == 7.2
    assert policy.wait_s(1, ServiceError("", "service", retry_after_s=0), same) == 0.2
    assert policy.wait_s(1, ServiceError("", "request", retry_after_s=7), same) is None


def test_a_failure_counts_until_one_of_its_kind_succeeds_or_it_is_old() -> None:
    clock = Clock()
    health = Health(clock)
    assert (health.trouble, health.is_proven) == ("", False)

    health.failed(replies.SEND, PASSING)
    clock.now += 3
    health.succeeded(replies.HEALTH)
    assert (health.trouble, health.is_proven) == ("busy; 3 s ago", False)
    health.failed(replies.ADD_CONNECTION, THROTTLED)
    assert health.trouble.startswith("enough")
    health.succeeded(replies.ADD_CONNECTION)
    assert (health.trouble.startswith("busy"), health.is_proven) == (True, True)
    clock.now += 58
    assert health.trouble == ""


def test_a_request_that_is_wrong_says_nothing_about_the_service() -> None:
    health = Health(Clock())
    health.failed(replies.SEND, ServiceError("too large", "request"))

    assert health.trouble == ""


def test_everybody_waits_as_long_as_is_asked_for_within_reason() -> None:
    clock = Clock()
    health = Health(clock)
    assert health.held_s == 0

    health.throttled(THROTTLED)
    assert health.held_s == 1
    health.throttled(ServiceError("", "throttled", retry_after_s=86_400))
    health.throttled(THROTTLED)
    assert health.held_s == 60
    clock.now += 61
    assert health.held_s == 0
