"""The negotiate reply and the names around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.gateway.negotiate import (
    WEB_SOCKETS,
    TransportOffer,
    client_url,
    hub_name,
    negotiate_error,
    negotiate_reply,
)
from streamsink.core.errors import InvalidRequestError

OFFERED = [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}]


def test_version_1_has_a_connection_token() -> None:
    """Checks 1 and 5."""
    assert negotiate_reply("C", "T", [WEB_SOCKETS]) == {
        "negotiateVersion": 1,
        "connectionId": "C",
        "connectionToken": "T",
        "availableTransports": OFFERED,
    }


def test_version_0_has_none() -> None:
    """Check 2."""
    reply = negotiate_reply("C", None, [WEB_SOCKETS])

    assert reply == {"negotiateVersion": 0, "connectionId": "C", "availableTransports": OFFERED}


def test_transports_are_offered_in_order() -> None:
    """Check 1."""
    others = [WEB_SOCKETS, TransportOffer("LongPolling", ("Text",))]

    offered = negotiate_reply("C", "T", others)["availableTransports"]

    assert [transport["transport"] for transport in offered] == ["WebSockets", "LongPolling"]


@pytest.mark.parametrize("version", [None, "0", "1", "2", "7", "000"])
def test_versions_from_0_up_can_be_served(version: str | None) -> None:
    """Check 3."""
    assert negotiate_error(version) is None


@pytest.mark.parametrize("version", ["abc", "", "1.0", "1_0", " 1", "\u0661", "9" * 30])
def test_a_version_that_is_no_integer_is_an_error(version: str) -> None:
    """Check 3."""
    assert negotiate_error(version) == "The client requested a non-integer protocol version."


def test_a_version_below_the_minimum_is_an_error() -> None:
    assert negotiate_error("-1") == ("The client requested version '-1', but the server does not support this version.")


@given(st.text(max_size=20))
def test_any_version_text_is_served_or_an_error(version: str) -> None:
    if negotiate_error(version) is None:
        assert int(version) >= 0


@pytest.mark.parametrize("name", ["a", "chat", "Chat_1", "a`,.[]", "a" * 128])
def test_hub_names_follow_azures_pattern(name: str) -> None:
    """Check 7."""
    assert hub_name([name]) == name


@pytest.mark.parametrize("names", [[], ["a", "a"], ["1bad"], ["a" * 129], [""], ["a/b"], ["a\n"], ["ä"]])
def test_other_hub_names_are_refused(names: list[str]) -> None:
    """Check 7."""
    with pytest.raises(InvalidRequestError):
        hub_name(names)


def test_the_client_url_names_the_hub() -> None:
    assert client_url("https://h/p", "chat") == "https://h/p/client/?hub=chat"
    assert client_url("https://h", "a[1]") == "https://h/client/?hub=a%5B1%5D"
