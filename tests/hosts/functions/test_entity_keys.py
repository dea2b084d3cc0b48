from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.errors import InvalidRequestError
from streamsink.core.names import THREAD_ID
from streamsink.hosts.functions.entity_keys import entity_key, thread_of


def _is_thread(text: str) -> bool:
    try:
        return THREAD_ID.validate(text) == text
    except InvalidRequestError:
        return False


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40).filter(_is_thread))
def test_every_thread_has_a_key_of_its_own_that_means_nothing_in_a_url(thread: str) -> None:
    key = entity_key(thread)

    assert re.fullmatch(r"[A-Za-z0-9._~-]+", key)
    assert ".." not in key
    assert key not in (".", "..")
    assert thread_of(key) == thread


@pytest.mark.parametrize("thread", ["6f9619ff-8b86-d011-b42d-00cf4fc964ff", "abc.0.x_Y-z", "42"])
def test_ids_of_plain_characters_stay_as_they_are(thread: str) -> None:
    """Entities of the original sample keep what they remember."""
    assert entity_key(thread) == thread


@pytest.mark.parametrize(("thread", "key"), [("a:b@c", "a~3Ab~40c"), ("a~b", "a~7Eb"), ("(1)", "~281~29")])
def test_other_characters_are_written_as_numbers(thread: str, key: str) -> None:
    assert entity_key(thread) == key


def test_keys_that_were_made_elsewhere_name_themselves() -> None:
    assert thread_of("user@example.com") == "user@example.com"
    assert thread_of("a~b") == "a~b"


@pytest.mark.parametrize("key", ["", "a/b", "a b", "x" * 201, "~2F", "~00", "~2E~2E"])
def test_keys_that_no_thread_can_have_name_none(key: str) -> None:
    assert thread_of(key) is None
