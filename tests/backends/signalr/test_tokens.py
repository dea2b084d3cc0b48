"""Tokens: what they are for, who signs, and the change of keys."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from streamsink.backends.gateway.tokens import AccessTokens, Place
from streamsink.backends.signalr.rest import HubApi
from streamsink.backends.signalr.tokens import KeyRing, client_audience, signalr_user_id
from streamsink.core.errors import SettingsError
from streamsink.core.identity import User

FIRST, SECOND = b"1" * 44, b"2" * 44
NOW = 1_700_000_000
ANN = User(subject="ann")


def ring(*keys: bytes) -> KeyRing:
    return KeyRing(keys or (FIRST,), clock=lambda: NOW + 0.9)


def claims(token: str, key: bytes = FIRST) -> dict[str, Any]:
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_aud": False, "verify_iat": False}
    decoded: dict[str, Any] = jwt.decode(token, key, algorithms=["HS256"], options=options)
    return decoded


def test_a_rest_token_is_for_the_escaped_url_without_its_query() -> None:
    request = HubApi("https://x.test", "chat").add_user("a/b ü", "u", ttl_s=5)
    token = ring().rest_token(request.audience)

    assert claims(token) == {
        "aud": "https://x.test/api/hubs/chat/users/u/groups/a%2Fb%20%C3%BC",
        "iat": NOW,
        "nbf": NOW - 60,
        "exp": NOW + 3_600,
    }
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["typ"], len(header["kid"])) == ("HS256", "JWT", 16)
    assert len(token) < 4_096


def test_a_client_token_is_for_the_hub_and_names_the_user_by_an_opaque_id() -> None:
    audience = client_audience("https://x.test", "chat")
    token = ring().client_token(audience, signalr_user_id(ANN), lifetime_s=600)

    found = claims(token)
    assert (found["aud"], found["nameid"], found["exp"]) == ("https://x.test/client/?hub=chat", ANN.id, NOW + 600)
    assert "ann" not in found["nameid"]


def test_our_own_gateway_would_take_it() -> None:
    """It checks what the service checks: signature, times, host, path and hub."""
    token = ring().client_token(client_audience("https://x.test", "chat"), "u", lifetime_s=600)
    verifier = AccessTokens([FIRST], clock=lambda: NOW)

    assert verifier.verify(token, hub="chat", asked=Place.of_request("x.test", "/client")) == "u"


def test_the_first_key_signs_until_it_is_refused() -> None:
    keys = ring(FIRST, SECOND)
    early, late = keys.rest_token("a"), keys.rest_token("b")
    claims(early, FIRST)

    assert keys.refused(early)
    claims(keys.rest_token("a"), SECOND)
    assert keys.refused(late)  # signed before the change: the present key has not been tried
    claims(keys.rest_token("a"), SECOND)
    assert keys.refused(keys.rest_token("a"))
    claims(keys.rest_token("a"), FIRST)


@pytest.mark.parametrize("keys", [(FIRST,), (FIRST, FIRST)])
def test_one_key_has_no_other(keys: tuple[bytes, ...]) -> None:
    one = ring(*keys)

    assert not one.refused(one.rest_token("a"))


def test_a_key_is_needed() -> None:
    with pytest.raises(SettingsError):
        KeyRing((), clock=lambda: 0)
