"""Threads as keys of durable entities.

The durable client puts keys into URLs as they are (azure-functions-durable 1.7.0, ``EntityId.get_entity_id_url_path``),
where ``X?op=reset`` or ``../`` would name another operation or another entity, and splits scheduler ids at ``@``.
"""

from __future__ import annotations

import re
from typing import Final

from streamsink.core.errors import InvalidRequestError
from streamsink.core.names import THREAD_ID

__all__ = ["entity_key", "thread_of"]

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")
_ESCAPED: Final = re.compile(r"~([0-9A-F]{2})")


def entity_key(thread: str) -> str:
    """The key of a thread's entities. Ids of letters, digits, ``.``, ``_`` and ``-`` stay as they are, so that
    entities that other apps have made keep their state; every other character is written as ``~2F`` for ``/``."""
    return _UNSAFE.sub(lambda unsafe: f"~{ord(unsafe[0]):02X}", thread)


def thread_of(key: str) -> str | None:
    """The thread that a key names, also one that was made elsewhere; None when that is no thread id."""
    try:
        return THREAD_ID.validate(_ESCAPED.sub(lambda escaped: chr(int(escaped[1], 16)), key))
    except InvalidRequestError:
        return None
