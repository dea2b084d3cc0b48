"""Connection tokens as text."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.redis.signed_tokens import SignedToken, TokenSigner
from streamsink.core.errors import SettingsError
from streamsink.core.names import CONNECTION_ID

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
SIGNER = TokenSigner([KEY])
URL_SAFE = string.ascii_letters + string.digits + "_-"

ids = st.text(URL_SAFE, min_size=1, max_size=64)
times = st.integers(0, 10**15 - 1)
owners = st.tuples(st.text(), st.none() | st.text())


@given(ids, times, owners, st.booleans())
def test_what_was_signed_is_known_again(
    connection_id: str, expires_ms: int, owner: tuple[str, str | None], is_secret: bool
) -> None:
    hub, user_id = owner
    token = SIGNER.sign(connection_id, expires_ms, hub=hub, user_id=user_id, is_secret=is_secret)

    public_id = connection_id if is_secret else token
    assert SIGNER.verify(token, hub=hub, user_id=user_id) == SignedToken(public_id, expires_ms)
    assert set(token) <= set(URL_SAFE + ".")
    assert CONNECTION_ID.validate(token) == token


@given(st.data(), st.booleans())
def test_any_altered_character_is_noticed(data: st.DataObject, is_secret: bool) -> None:
    token = SIGNER.sign("A" * 22, 1_700_000_000_000, hub="chat", user_id="ann", is_secret=is_secret)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda character: character != token[place]))

    assert SIGNER.verify(token[:place] + other + token[place + 1 :], hub="chat", user_id="ann") is None


@pytest.mark.parametrize("is_secret", [True, False])
def test_every_other_url_safe_character_in_every_place_is_noticed(is_secret: bool) -> None:
    """Base64 spells the last bits of 16 bytes in sixteen ways; one of them is ours."""
    token = SIGNER.sign("A" * 22, 1_700_000_000_000, hub="chat", user_id="ann", is_secret=is_secret)
    altered = {
        token[:place] + other + token[place + 1 :] for place in range(len(token)) for other in f"{URL_SAFE}.=+/"
    } - {token}

    assert not [each for each in altered if SIGNER.verify(each, hub="chat", user_id="ann")]


@given(st.data(), st.booleans())
def test_more_or_fewer_characters_are_noticed(data: st.DataObject, is_secret: bool) -> None:
    token = SIGNER.sign("A" * 22, 1_700_000_000_000, hub="chat", user_id="ann", is_secret=is_secret)
    place, end = data.draw(st.integers(0, len(token) - 1)), data.draw(st.integers(0, len(token)))
    more = data.draw(st.text(min_size=1))

    assert SIGNER.verify(token[:place] + more + token[place:], hub="chat", user_id="ann") is None
    assert SIGNER.verify(token + more, hub="chat", user_id="ann") is None
    assert SIGNER.verify(token[:place] + token[max(place + 1, end) :], hub="chat", user_id="ann") is None


@given(st.text())
def test_what_nobody_signed_is_unknown(text: str) -> None:
    assert SIGNER.verify(text, hub="chat", user_id=None) is None


@given(owners, owners, st.booleans())
def test_a_token_is_for_one_hub_and_one_user(
    owner: tuple[str, str | None], other: tuple[str, str | None], is_secret: bool
) -> None:
    token = SIGNER.sign("id1", 1, hub=owner[0], user_id=owner[1], is_secret=is_secret)

    assert (SIGNER.verify(token, hub=other[0], user_id=other[1]) is None) == (owner != other)


@pytest.mark.parametrize(
    "other",
    [("chat", None), ("chat", "null"), ("chata", "nn"), ("cha", "tann"), ("chat\0", "ann"), ('chat","', "ann")],
)
def test_no_part_reaches_into_the_next(other: tuple[str, str | None]) -> None:
    for user_id in ("ann", ""):
        token = SIGNER.sign("id1", 1, hub="chat", user_id=user_id, is_secret=True)

        assert SIGNER.verify(token, hub=other[0], user_id=other[1]) is None


def test_halves_of_an_id_that_are_no_text_are_no_failure() -> None:
    token = SIGNER.sign("id1", 1, hub="chat", user_id="\ud800", is_secret=True)

    assert SIGNER.verify(token, hub="chat", user_id="\ud800") == SignedToken("id1", 1)
    assert SIGNER.verify(token, hub="chat", user_id=json.dumps("\ud800")) is None


def test_the_first_key_signs_and_all_verify() -> None:
    old, both, new = TokenSigner([KEY]), TokenSigner([OTHER_KEY, KEY]), TokenSigner([OTHER_KEY])
    of_old, of_both = (each.sign("id1", 1, hub="chat", user_id="ann", is_secret=False) for each in (old, both))

    assert both.verify(of_old, hub="chat", user_id="ann") == SignedToken(of_old, 1)
    assert new.verify(of_both, hub="chat", user_id="ann") == SignedToken(of_both, 1)
    assert new.verify(of_old, hub="chat", user_id="ann") is None


@pytest.mark.parametrize("keys", [[], [b"k" * 31], [KEY, b""]])
def test_short_keys_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(SettingsError, match="STREAM_SECRET should be"):
        TokenSigner(keys)


@pytest.mark.parametrize("connection_id", ["", "a.b", "a b", "é", "a" * 65])
def test_what_nobody_would_accept_is_not_signed(connection_id: str) -> None:
    with pytest.raises(ValueError, match="connection id"):
        SIGNER.sign(connection_id, 1, hub="chat", user_id=None, is_secret=True)
