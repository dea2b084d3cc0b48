"""Origins: the same origin, or exactly one of the list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.origins import Origin, Origins

HERE = "https://chat.example.com/prefix"


@pytest.mark.parametrize(
    ("origin", "url"),
    [
        ("https://chat.example.com", HERE),
        ("https://CHAT.example.com:443", HERE),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://localhost", "http://localhost:80/x?y#z"),
        ("http://[::1]:8000", "http://[::1]:8000/"),
        (None, HERE),
    ],
)
def test_the_own_origin_and_requests_without_one_are_allowed(origin: str | None, url: str) -> None:
    assert Origins().allows(origin, url)


@pytest.mark.parametrize(
    "origin",
    [
        "http://chat.example.com", "https://chat.example.com:8443", "https://example.com", "https://evil.com",
        "https://chat.example.com.evil.com", "null", "", "*", "https://chat.example.com/", "https://u@chat.example.com",
        "https://chat.example.com, https://evil.com", "https://chat.example.com:0", "https://chat.example.com:99999",
        "chat.example.com", "https://", "https://chat.example.com\n", "\u017fhttps://chat.example.com",
    ],
)  # fmt: skip
def test_every_other_origin_is_refused(origin: str) -> None:
    assert not Origins().allows(origin, HERE)


def test_listed_origins_are_allowed_exactly() -> None:
    origins = Origins(["https://app.example.com", "http://localhost:3000", "capacitor://localhost"])

    assert origins.allows("https://app.example.com:443", HERE)
    assert origins.allows("http://localhost:3000", HERE)
    assert origins.allows("capacitor://localhost", HERE)
    assert not origins.allows("https://x.app.example.com", HERE)
    assert not origins.allows("http://localhost:3001", HERE)


@pytest.mark.parametrize("wrong", ["*", "https://*.example.com", "null", "https://a.b/", "https://a.b/c", "a.b", ""])
def test_the_list_takes_exact_origins_only(wrong: str) -> None:
    with pytest.raises(ValueError, match="scheme://host"):
        Origins([wrong])


def test_a_url_that_is_none_has_no_origin_and_matches_nothing() -> None:
    assert Origin.of_url("/relative") is None
    assert not Origins().allows("null", "/relative")


@given(st.text())
def test_made_up_origins_are_refused(text: str) -> None:
    assert not Origins(["https://app.example.com"]).allows(text, HERE)


@given(st.sampled_from(["http", "https"]), st.from_regex(r"[a-z0-9]{1,10}(\.[a-z]{2,5})?", fullmatch=True))
def test_a_default_port_may_be_left_out(scheme: str, host: str) -> None:
    port = {"http": 80, "https": 443}[scheme]

    assert Origin.parse(f"{scheme}://{host}") == Origin.parse(f"{scheme}://{host}:{port}")
