"""Service keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.errors import UnauthenticatedError
from streamsink.core.identity import Request
from streamsink.hosts.identity.service_key import HEADER, ServiceKeyIdentity

FIRST, SECOND = "f" * 32, "s" * 32


def request(key: str | None) -> Request:
    return Request(method="GET", path="/", headers={} if key is None else {HEADER: key})


@pytest.mark.parametrize("key", [FIRST, SECOND])
def test_every_key_makes_the_same_service_user(key: str) -> None:
    user = ServiceKeyIdentity([FIRST, SECOND])(request(key))

    assert user is not None
    assert user.is_service
    assert (user.subject, user.issuer) == ("service", "service key")


def test_without_the_header_it_knows_nobody() -> None:
    assert ServiceKeyIdentity([FIRST])(request(None)) is None


@pytest.mark.parametrize("keys", [[], [FIRST]])
@pytest.mark.parametrize("key", ["", SECOND, FIRST[:-1], FIRST + "f"])
def test_a_wrong_key_is_an_error_and_not_shown(keys: list[str], key: str) -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        ServiceKeyIdentity(keys)(request(key))

    assert not key or key not in str(caught.value)


@given(st.text())
def test_any_other_text_is_a_wrong_key(text: str) -> None:
    with pytest.raises(UnauthenticatedError):
        ServiceKeyIdentity([FIRST])(request(text))
