"""A place in a timeline."""

from __future__ import annotations

from dataclasses import dataclass

from streamsink.core.errors import InvalidRequestError

__all__ = ["Cursor"]

# 2^53 - 1: every client, JavaScript included, must read both halves exactly.
_MAX = 9_007_199_254_740_991


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """``"<epoch>:<seq>"``; ordered by (epoch, seq).

    Args:
        epoch: rising store-clock milliseconds; a new epoch means that what came before may be incomplete.
        seq: 1, 2, 3 … without holes inside the epoch; 0 is the place before its first event.
    """

    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """The cursor that ``text`` names; None for ``""``, the place before everything.

        Raises:
            InvalidRequestError: ``text`` is neither empty nor a cursor.
        """
        if not text:
            return None
        epoch, colon, seq = text.partition(":")
        if colon and _is_number(epoch) and _is_number(seq):
            return cls(int(epoch), int(seq))
        raise InvalidRequestError('a cursor should be "<epoch>:<seq>" as it was given out, or empty')


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= _MAX
