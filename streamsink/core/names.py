"""The names that callers may give things: bounded and plain, so that they are safe wherever they end up.

A name enters paths, keys, channels, group names and logs, on services that each have their own idea of what
is special. All names are therefore visible ASCII without the characters that paths and URLs give a meaning
(``/ \\ ? # %``), and never contain ``..``. Other scripts are refused rather than normalised: two services
that normalise differently would see two names. Whoever puts a name into a path or a key still encodes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from streamsink.core.errors import InvalidRequestError

__all__ = ["AGENT_NAME", "CONNECTION_ID", "CORRELATION_ID", "IDEMPOTENCY_KEY", "THREAD_ID", "Name"]

_ECHOED_CHARACTERS: Final = 16


@dataclass(frozen=True, slots=True)
class Name:
    """A kind of name and what is allowed in it.

    Args:
        label: what the name is of, as errors call it.
        max_length: in characters; at least one is always needed.
        pattern: matches the whole of an allowed name, whatever its length.
        rule: the pattern in words.
    """

    label: str
    max_length: int
    pattern: re.Pattern[str]
    rule: str

    def validate(self, value: object) -> str:
        """``value`` itself, when it is such a name.

        Raises:
            InvalidRequestError: it is not; says which name and why, and quotes no more than its beginning.
        """
        if isinstance(value, str) and self._allows(value):
            return value
        wanted = f"the {self.label} should be 1 to {self.max_length} {self.rule}"
        raise InvalidRequestError(f"{wanted}{_beginning(value)}")

    def _allows(self, text: str) -> bool:
        # The length first: nothing else may look at ten megabytes.
        return 1 <= len(text) <= self.max_length and self.pattern.fullmatch(text) is not None


def _beginning(value: object) -> str:
    if not isinstance(value, str):
        return "; it is not a text"
    if not value:
        return "; it is empty"
    more = "…" if len(value) > _ECHOED_CHARACTERS else ""
    return f"; it begins with {value[:_ECHOED_CHARACTERS]!a}{more}"


# From "!" to "~" without # % / ? and the backslash. "." and ".." are path segments with a meaning.
_PLAIN: Final = re.compile(r"(?!\.\Z)(?!.*\.\.)[!\"$&-.0->@-\[\]-~]+")
_PLAIN_RULE: Final = r"visible ASCII characters, none of / \ ? # %, not '.' and without '..'"

THREAD_ID: Final = Name("thread id", 200, _PLAIN, _PLAIN_RULE)
"""Every thread id, wherever it was made: minted, a database key, a GUID, the framework's."""

CORRELATION_ID: Final = Name("correlation id", 128, _PLAIN, _PLAIN_RULE)

CONNECTION_ID: Final = Name("connection id", 200, _PLAIN, _PLAIN_RULE)
"""SignalR's are base64url; Azure's may have more after them, ``=`` and ``:`` included."""

AGENT_NAME: Final = Name(
    "agent name",
    100,
    re.compile(r"(?! )(?!.* \Z)(?!\.\Z)(?!.*\.\.)[ !\"$&-.0->@-\[\]-~]+"),
    _PLAIN_RULE + ", and spaces only inside",
)

IDEMPOTENCY_KEY: Final = Name("idempotency key", 255, re.compile(r"[!-~]+"), "visible ASCII characters")
"""Only ever compared, so any visible character will do."""
