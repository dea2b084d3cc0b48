from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core import utf16

# Every code point, lone surrogates included, and more of them than chance would give.
texts = st.text(st.characters(exclude_categories=()) | st.sampled_from("a😀\ud83d\ude00"))


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("", ""),
        ("plain", "plain"),
        ("é😀", "é😀"),
        ("\ud83d", "\ufffd"),
        ("a\ude00\ud83d", "a\ufffd\ufffd"),
        ("\ud83d\ude00", "😀"),
    ],
)
def test_clean_joins_pairs_and_replaces_lone_surrogates(text: str, cleaned: str) -> None:
    assert utf16.clean(text) == cleaned


@given(texts)
def test_a_clean_text_can_be_encoded_and_is_as_long_as_before(text: str) -> None:
    cleaned = utf16.clean(text)

    assert cleaned.encode().decode() == cleaned
    assert utf16.length(cleaned) == utf16.length(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2


@pytest.mark.parametrize(
    ("units", "parts"),
    [
        (-1, ("", "a😀b")),
        (0, ("", "a😀b")),
        (1, ("a", "😀b")),
        (2, ("a\ufffd", "\ufffdb")),
        (3, ("a😀", "b")),
        (4, ("a😀b", "")),
        (9, ("a😀b", "")),
    ],
)
def test_split_at_counts_code_units(units: int, parts: tuple[str, str]) -> None:
    assert utf16.split_at("a😀b", units) == parts


@given(texts, st.integers(-2, 12))
def test_split_at_loses_no_unit(text: str, units: int) -> None:
    head, tail = utf16.split_at(text, units)

    assert utf16.length(head) == min(max(units, 0), utf16.length(text))
    assert utf16.length(head) + utf16.length(tail) == utf16.length(text)


@given(texts, st.integers(4, 12))
def test_pieces_join_to_the_clean_text_within_their_bound(text: str, max_bytes: int) -> None:
    pieces = utf16.pieces(text, max_bytes)

    assert "".join(pieces) == utf16.clean(text)
    assert all(0 < len(piece.encode()) <= max_bytes for piece in pieces)


def test_pieces_are_as_long_as_they_may_be() -> None:
    assert utf16.pieces("aé😀😀b", 5) == ["aé", "😀", "😀b"]
    assert utf16.pieces("", 5) == []


def test_pieces_need_room_for_the_longest_code_point() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        utf16.pieces("a", 3)
