"""What a producer has said and nobody has appended yet, in the fewest pieces that say it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from streamsink.core import utf16
from streamsink.core.events import AGENT_MESSAGE, AGENT_REASONING, AGENT_TOOL_CALL, Envelope, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["DataDraft", "Draft", "Drafts", "Mode", "TextDraft", "Texts", "bounded", "data_draft"]

Mode: TypeAlias = Literal["append", "replace"]

# Which member names the thing that is being streamed, and which holds the streamed text.
_STREAMED: Final = {
    AGENT_MESSAGE: ("messageId", "text"),
    AGENT_REASONING: ("messageId", "text"),
    AGENT_TOOL_CALL: ("callId", "arguments"),
}
# JSON escapes a control character as six bytes; envelope and field names take the rest.
_WORST_CASE_EXPANSION: Final = 8
_OVERHEAD_BYTES: Final = 256

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
        self.size += later.size
        return True

    def records(self, envelope: Envelope, attempt: int, max_bytes: int) -> Iterator[Record]:
        """The records that say it, none larger than ``max_bytes``."""
        key_name, text_name = _STREAMED[self.target]
        offset, mode = self.offset, self.mode
        for piece in utf16.pieces("".join(self.parts), max_bytes // _WORST_CASE_EXPANSION) or ("",):
            fields = {key_name: self.key, text_name: piece, "mode": mode, "offset": offset, **self.extra}
            yield envelope.record(self.target, attempt=attempt, at_ms=self.at_ms, fields=fields)
            offset, mode = offset + utf16.length(piece), "append"


@dataclass(slots=True)
class DataDraft:
    """An event that is said as a whole. ``fields`` hold encoded values only."""

    target: str
    fields: dict[str, Any]
    at_ms: int
    size: int

    def absorb(self, later: Draft) -> bool:
        """Never: data does not merge."""
        return False

    def records(self, envelope: Envelope, attempt: int, max_bytes: int) -> Iterator[Record]:
        """The one record that says it; values that do not fit become ``{"omitted": bytes}``."""
        room = (max_bytes - _OVERHEAD_BYTES) // max(1, len(self.fields))
        fields = {name: bounded(value, room) for name, value in self.fields.items()}
        yield envelope.record(self.target, attempt=attempt, at_ms=self.at_ms, fields=fields)


Draft: TypeAlias = TextDraft | DataDraft


def data_draft(target: str, fields: dict[str, Any], *, at_ms: int) -> DataDraft:
    """A draft whose values are encoded here, where a wrong one can still be blamed on its author.

    Raises:
        TypeError: a value cannot be written as JSON.
    """
    encoded = {name: msgspec.Raw(_encode(value)) for name, value in fields.items()}
    return DataDraft(target, encoded, at_ms, _OVERHEAD_BYTES + sum(len(bytes(raw)) for raw in encoded.values()))


def bounded(value: msgspec.Raw, max_bytes: int) -> msgspec.Raw:
    """``value``, or what is said in its place when it is larger than ``max_bytes``."""
    size = len(bytes(value))
    return value if size <= max_bytes else msgspec.Raw(b'{"omitted":%d}' % size)


class Texts:
    """How long each streamed text of an attempt is; makes its pieces.

    Text that no message id came with belongs to an automatic one, which ends when something else is said.
    """

    def __init__(self) -> None:
        self._units: dict[tuple[str, str], int] = {}
        self._automatic = 0

    def knows(self, target: str, key: str) -> bool:
        """Whether something was streamed under that key."""
        return (target, key) in self._units

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
        text = utf16.clean(text)
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
        self.size += draft.size
        if not (self._drafts and self._drafts[-1].absorb(draft)):
            self._drafts.append(draft)

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
