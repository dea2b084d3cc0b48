"""Texts measured as browsers measure them: in UTF-16 code units.

A lone surrogate is not text and cannot be sent; wherever one turns up, or a cut would make one, it becomes
U+FFFD, which is one code unit too: lengths stay what they were.
"""

from __future__ import annotations

__all__ = ["clean", "length", "pieces", "split_at"]

_CODEC = "utf-16-le"
_LONGEST_CODE_POINT = 4


def clean(text: str) -> str:
    """``text`` with its surrogate pairs joined and its lone surrogates replaced; as long as before."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _decode(_encode(text))
    return text


def length(text: str) -> int:
    """Its length in UTF-16 code units."""
    return len(text) if text.isascii() else len(_encode(text)) // 2


def split_at(text: str, units: int) -> tuple[str, str]:
    """``text`` before and after the first ``units`` code units, of which there may be fewer.

    A cut through a surrogate pair leaves U+FFFD on both sides.
    """
    units = max(units, 0)
    if text.isascii():
        return text[:units], text[units:]
    encoded = _encode(text)
    return _decode(encoded[: 2 * units]), _decode(encoded[2 * units :])


def pieces(text: str, max_bytes: int) -> list[str]:
    """``text``, cleaned, in pieces of at most ``max_bytes`` UTF-8 bytes; none for the empty text.

    No code point is divided. JSON escapes are not counted.

    Raises:
        ValueError: ``max_bytes`` is less than 4, the size of the longest code point.
    """
    if max_bytes < _LONGEST_CODE_POINT:
        raise ValueError(f"max_bytes should be at least {_LONGEST_CODE_POINT}, not {max_bytes}")
    encoded = clean(text).encode()
    result = []
    start = 0
    while start < len(encoded):
        end = _boundary(encoded, start + max_bytes)
        result.append(encoded[start:end].decode())
        start = end
    return result


def _boundary(encoded: bytes, end: int) -> int:
    """The last place up to ``end`` where a code point begins, or the end of it all."""
    if end >= len(encoded):
        return len(encoded)
    while encoded[end] & 0xC0 == 0x80:
        end -= 1
    return end


def _encode(text: str) -> bytes:
    return text.encode(_CODEC, "surrogatepass")


def _decode(encoded: bytes) -> str:
    return encoded.decode(_CODEC, "replace")
