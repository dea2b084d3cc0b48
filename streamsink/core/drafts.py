"""What a producer has said and nobody has appended yet, in the fewest pieces that say it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from streamsink.core import utf16
from streamsink.core.events import AGENT_MESSAGE, AGENT_REASONING, AGENT_TOOL_CALL, Envelope, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["DataDraft", "Draft", "Drafts", "Mode", "TextDraft", "Texts", "data_draft"]

Mode: TypeAlias = Literal["append", "replace"]

# Which member names the thing that is being streamed, and which holds the streamed text.
_STREAMED: Final = {
    AGENT_MESSAGE: ("messageId", "text"),
    AGENT_REASONING: ("messageId", "text"),
    AGENT_TOOL_CALL: ("callId", "arguments"),
}
# JSON escapes a control character as six bytes.
_WORST_CASE_EXPANSION: Final = 6
_SHORTEST_PIECE_BYTES: Final = 16
# What a draft takes in memory beside its text, and one more piece of it.
_OVERHEAD_BYTES: Final = 256
_PIECE_BYTES: Final = 64
# What joins a record on its way: seq, epoch and the invocation around it.
_WRAPPING_BYTES: Final = 256

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class TextDraft:
    """A piece of a streamed text.

    Args:
        target: agentMessage, agentReasoning or agentToolCall.
        key: the message or call that it belongs to.
        parts: the text, in pieces; joined when it becomes a record.
        mode, offset: docs/protocol.md.
        units: the text's length in UTF-16 code units.
        size: about its bytes.
        extra: further members of every record (a call's name).
    """

    target: str
    key: str
    parts: list[str]
    mode: Mode
    offset: int
    at_ms: int
    units: int
    size: int
    extra: dict[str, Any] = field(default_factory=dict)

    def absorb(self, later: Draft) -> bool:
        """Take over a piece that continues this one; False when it does not."""
        if (
            not isinstance(later, TextDraft)
            or (later.target, later.key, later.mode) != (self.target, self.key, "append")
            or later.offset != self.offset + self.units
        ):
            return False
        self.parts.extend(later.parts)
        self.units += later.units
        self.size += later.size - _OVERHEAD_BYTES + _PIECE_BYTES
        self.extra = later.extra  # a name may come after the first piece
        return True

    def records(self, envelope: Envelope, attempt: int, max_bytes: int) -> Iterator[Record]:
        """The records that say it, none larger than ``max_bytes``."""
        key_name, text_name = _STREAMED[self.target]

        def record(piece: str, mode: Mode, offset: int) -> Record:
            fields = {key_name: self.key, text_name: piece, "mode": mode, "offset": offset, **self.extra}
            return envelope.record(self.target, attempt=attempt, at_ms=self.at_ms, fields=fields)

        offset, mode = self.offset, self.mode
        room = max_bytes - _WRAPPING_BYTES - len(record("", mode, offset + self.units).body)
        piece_bytes = max(room // _WORST_CASE_EXPANSION, _SHORTEST_PIECE_BYTES)
        for piece in utf16.pieces("".join(self.parts), piece_bytes) or ("",):
            yield record(piece, mode, offset)
            offset, mode = offset + utf16.length(piece), "append"


@dataclass(slots=True)
class DataDraft:
    """An event that is said as a whole."""

    target: str
    fields: dict[str, msgspec.Raw]
    at_ms: int
    size: int

    def absorb(self, later: Draft) -> bool:
        """Never: data does not merge."""
        return False

    def bound(self, max_bytes: int) -> None:
        """Let go of values that will not fit into a record anyway."""
        for name, value in self.fields.items():
            if _length(value) > max_bytes:
                self.fields[name] = _omitted(value)
        self.size = _OVERHEAD_BYTES + sum(map(_length, self.fields.values()))

    def records(self, envelope: Envelope, attempt: int, max_bytes: int) -> Iterator[Record]:
        """The one record that says it; the largest values become ``{"omitted": bytes}`` until it fits."""
        record = envelope.record(self.target, attempt=attempt, at_ms=self.at_ms, fields=self.fields)
        for name in sorted(self.fields, key=lambda name: _length(self.fields[name]), reverse=True):
            if len(record.body) <= max_bytes - _WRAPPING_BYTES:
                break
            self.fields[name] = _omitted(self.fields[name])
            record = envelope.record(self.target, attempt=attempt, at_ms=self.at_ms, fields=self.fields)
        yield record


Draft: TypeAlias = TextDraft | DataDraft


def data_draft(target: str, fields: dict[str, Any], *, at_ms: int) -> DataDraft:
    """A draft whose values are encoded here, where a wrong one can still be blamed on its author.

    Raises:
        TypeError: a value cannot be written as JSON.
    """
    encoded = {name: msgspec.Raw(_encode(value)) for name, value in fields.items()}
    return DataDraft(target, encoded, at_ms, _OVERHEAD_BYTES + sum(map(_length, encoded.values())))


def _length(value: msgspec.Raw) -> int:
    return memoryview(value).nbytes


def _omitted(value: msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(b'{"omitted":%d}' % _length(value))


class Texts:
    """How long each streamed text of an attempt is; makes its pieces.

    Text that no message id came with belongs to an automatic one, which ends when something else is said.
    """

    def __init__(self) -> None:
        self._units: dict[tuple[str, str], int] = {}
        self._automatic = 0

    def automatic_key(self) -> str:
        """The id for text that came without one."""
        return f"text-{self._automatic}"

    def break_automatic(self) -> None:
        """The next text without an id begins another message."""
        self._automatic += 1

    def piece(
        self, target: str, key: str, text: str, mode: Mode, *, at_ms: int, extra: dict[str, Any] | None = None
    ) -> TextDraft | None:
        """The next piece of that text, or None when it says nothing new."""
        key, text = utf16.clean(key), utf16.clean(text)
        so_far = self._units.get((target, key))
        if so_far is not None and not text and mode == "append":
            return None
        offset = (so_far or 0) if mode == "append" else 0
        units = utf16.length(text)
        self._units[target, key] = offset + units
        size = _OVERHEAD_BYTES + len(text.encode())
        return TextDraft(target, key, [text], mode, offset, at_ms, units, size, extra or {})


class Drafts:
    """Drafts in order; a piece that continues the last one is merged into it."""

    def __init__(self) -> None:
        self._drafts: list[Draft] = []
        self.size: int = 0

    def __len__(self) -> int:
        return len(self._drafts)

    def add(self, draft: Draft) -> None:
        """Say one more thing."""
        if self._drafts:
            last = self._drafts[-1]
            before = last.size
            if last.absorb(draft):
                self.size += last.size - before
                return
        self._drafts.append(draft)
        self.size += draft.size

    def extend(self, drafts: Sequence[Draft]) -> None:
        """Say all of these."""
        for draft in drafts:
            self.add(draft)

    def take(self) -> list[Draft]:
        """Everything, which is then no longer here."""
        drafts, self._drafts, self.size = self._drafts, [], 0
        return drafts

    def __iter__(self) -> Iterator[Draft]:
        return iter(self._drafts)
