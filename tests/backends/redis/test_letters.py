"""What nodes write to each other."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.redis.letters import (
    MAX_LETTER_BYTES,
    Answer,
    Close,
    Join,
    Leave,
    Letter,
    Question,
    Request,
    decode,
    encode,
)
from streamsink.core.errors import TooLargeError

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)
requests: st.SearchStrategy[Request] = st.one_of(
    st.builds(Join, names, names, st.none() | names),
    st.builds(Leave, names, names, st.none() | names),
    st.builds(Close, names, st.none() | names),
)
letters: st.SearchStrategy[Letter] = st.one_of(
    st.builds(Question, names, names, requests), st.builds(Answer, names, st.none() | names)
)


@given(letters)
def test_a_letter_comes_as_it_was_sent(letter: Letter) -> None:
    assert decode(encode(letter)) == letter


@given(letters, st.data())
def test_what_is_no_letter_is_none(letter: Letter, data: st.DataObject) -> None:
    payload = encode(letter)

    assert decode(payload[: data.draw(st.integers(0, len(payload) - 1))]) is None
    decode(b"\x01" + data.draw(st.binary()))  # does not raise
    place = data.draw(st.integers(0, len(payload) - 1))
    decode(payload[:place] + data.draw(st.binary(min_size=1, max_size=1)) + payload[place + 1 :])


def test_another_version_is_none() -> None:
    assert decode(b"\x02" + encode(Answer("id"))[1:]) is None
    assert decode(b"") is None


def test_an_unknown_kind_is_none_and_more_fields_are_ignored() -> None:
    assert decode(b"\x01" + msgspec.msgpack.encode({"type": "gossip", "id": "1"})) is None
    assert decode(b"\x01" + msgspec.msgpack.encode({"type": "answer", "id": "1", "new": [1]})) == Answer("1")


def test_deeply_nested_letters_are_none() -> None:
    assert decode(b"\x01" + b"\x81\xa3new" * 400 + b"\x01") is None


def test_letters_are_bounded() -> None:
    with pytest.raises(TooLargeError, match="4096 bytes"):
        encode(Question("id", "node", Close("c1", "e" * MAX_LETTER_BYTES)))
    assert decode(b"\x01" + msgspec.msgpack.encode(Answer("1", "e" * MAX_LETTER_BYTES))) is None
