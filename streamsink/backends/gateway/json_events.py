"""Events as JSON hub records: what every client of that protocol gets, and what nodes hand each other. Sans-IO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from streamsink.core.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RECORD_SEPARATOR", "JsonEvents"]

RECORD_SEPARATOR: Final = b"\x1e"


class _Invocation(msgspec.Struct):
    target: str
    arguments: list[msgspec.Raw]


_decode = msgspec.json.Decoder(_Invocation).decode


class JsonEvents(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Consecutive events, at least one, whose records somebody has made; parsed only for who needs them otherwise.

    Args:
        epoch: of all of them.
        first: the seq of the first.
        last: that of the last.
        records: JSON hub records, each with its separator.
    """

    epoch: str
    first: int
    last: int
    records: bytes

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[Event]:
        """The events.

        Raises:
            ValueError: these are not their records.
        """
        lines = self.records.split(RECORD_SEPARATOR)[:-1]
        try:
            for seq, line in zip(range(self.first, self.last + 1), lines, strict=True):
                invocation = _decode(line)
                yield Event(invocation.target, bytes(invocation.arguments[0]), self.epoch, seq)
        except (ValueError, IndexError):
            raise ValueError("not the records of events") from None  # another's text could quote what was published
