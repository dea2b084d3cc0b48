"""What nodes write to each other: a version, then one msgpack struct. Sans-IO.

Letters carry ids, and never secrets, prompts or texts of errors.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec

from streamsink.core.errors import TooLargeError

__all__ = ["MAX_LETTER_BYTES", "Answer", "Close", "Join", "Leave", "Letter", "Question", "Request", "decode", "encode"]

MAX_LETTER_BYTES: Final = 4096
_VERSION: Final = b"\x01"
_MAX_ID_CHARACTERS: Final = 200

_Id: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=_MAX_ID_CHARACTERS)]


class Join(msgspec.Struct, frozen=True, tag="join"):
    """Add a connection to a thread's group; ``user_id``: whose it must be, None: anybody's."""

    thread: str
    connection_id: str
    user_id: str | None = None


class Leave(msgspec.Struct, frozen=True, tag="leave"):
    """Remove a connection from a thread's group."""

    thread: str
    connection_id: str
    user_id: str | None = None


class Close(msgspec.Struct, frozen=True, tag="close"):
    """End a connection; ``error``: what its client is told, None: nothing."""

    connection_id: str
    error: str | None = None


Request: TypeAlias = Join | Leave | Close


class Question(msgspec.Struct, frozen=True, tag="question"):
    """A request, by which node, and the id that the answer repeats."""

    id: _Id
    asker: _Id
    request: Request


class Answer(msgspec.Struct, frozen=True, tag="answer", omit_defaults=True):
    """That the request with this id has been done, or the code of the error that it was not for."""

    id: _Id
    error: str | None = None


Letter: TypeAlias = Question | Answer

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[Letter]] = msgspec.msgpack.Decoder(Letter)


def encode(letter: Letter) -> bytes:
    """A letter as bytes.

    Raises:
        TooLargeError: nobody would read it.
    """
    payload = _VERSION + _encoder.encode(letter)
    if len(payload) > MAX_LETTER_BYTES:
        raise TooLargeError(f"a letter between nodes is at most {MAX_LETTER_BYTES} bytes long")
    return payload


def decode(payload: bytes) -> Letter | None:
    """The letter; None for what is none, or not of this version."""
    if len(payload) > MAX_LETTER_BYTES or not payload.startswith(_VERSION):
        return None
    try:
        return _decoder.decode(memoryview(payload)[len(_VERSION) :])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
