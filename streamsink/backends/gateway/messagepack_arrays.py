"""Hub messages as MessagePack arrays. Sans-IO.

Source: aspnetcore docs/specs/HubProtocol.md, "MessagePack (MsgPack) encoding".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import msgspec

from streamsink.backends.gateway import messages
from streamsink.backends.gateway.messages import HubMessage, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["decode", "encode"]

_Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]

_KNOWN_TYPES: Final = range(1, 8)
_ERROR, _VOID, _RESULT = 1, 2, 3  # kinds of completion


class _Array(msgspec.Struct, array_like=True, frozen=True, tag_field="type"):
    """A message as it travels: its type, then its fields. Elements that are too many are ignored."""


class _Headed(_Array, frozen=True):
    headers: msgspec.Raw  # not even looked at: some clients put their credentials there


class _Invocation(_Headed, frozen=True, tag=1):
    invocation_id: str | None
    target: _Text
    arguments: list[Any]
    stream_ids: list[str] = []


class _StreamItem(_Headed, frozen=True, tag=2):
    invocation_id: _Text
    item: Any


class _Completion(_Headed, frozen=True, tag=3):
    invocation_id: _Text
    kind: int
    value: Any = msgspec.UNSET


class _StreamInvocation(_Headed, frozen=True, tag=4):
    invocation_id: _Text
    target: _Text
    arguments: list[Any]
    stream_ids: list[str] = []


class _CancelInvocation(_Headed, frozen=True, tag=5):
    invocation_id: _Text


class _Ping(_Array, frozen=True, tag=6):
    pass


class _Close(_Array, frozen=True, tag=7):
    error: str | None = None
    allow_reconnect: bool = False


class _AnyMessage(msgspec.Struct, array_like=True):
    type: int


_Known: TypeAlias = _Invocation | _StreamItem | _Completion | _StreamInvocation | _CancelInvocation | _Ping | _Close

_pack = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], _Known] = msgspec.msgpack.Decoder(_Known).decode
_decode_type = msgspec.msgpack.Decoder(_AnyMessage).decode


def decode(body: bytes) -> HubMessage | None:
    """One message, without its length. None: a type that is not known here, to be skipped.

    Raises:
        ProtocolError: it is not a hub message.
    """
    try:
        try:
            return _message(_decode(body))
        except msgspec.ValidationError:
            if _decode_type(body).type in _KNOWN_TYPES:
                raise
            return None
    except (ValueError, RecursionError):
        # No cause: its text could quote what the client sent.
        raise ProtocolError("not a hub message") from None


def _message(array: _Known) -> HubMessage:
    match array:
        case _Invocation(invocation_id=id_, target=target, arguments=arguments, stream_ids=streams):
            return messages.Invocation(target, arguments, id_ or None, streams)  # some write "" where others write nil
        case _StreamItem(invocation_id=id_, item=item):
            return messages.StreamItem(id_, item)
        case _Completion():
            return _completion(array)
        case _StreamInvocation(invocation_id=id_, target=target, arguments=arguments, stream_ids=streams):
            return messages.StreamInvocation(target, arguments, id_, streams)
        case _CancelInvocation(invocation_id=id_):
            return messages.CancelInvocation(id_)
        case _Ping():
            return messages.Ping()
        case _:
            return messages.Close(array.error, array.allow_reconnect)


def _completion(array: _Completion) -> messages.Completion:
    if array.kind == _VOID:
        return messages.Completion(array.invocation_id)
    if array.kind == _ERROR and isinstance(array.value, str):
        return messages.Completion(array.invocation_id, error=array.value)
    if array.kind == _RESULT and array.value is not msgspec.UNSET:
        return messages.Completion(array.invocation_id, result=array.value)
    raise ValueError("not a completion")


def encode(message: HubMessage) -> bytes:
    """One message, without its length."""
    return _pack(_array(message))


def _array(message: HubMessage) -> list[Any]:
    match message:
        case messages.Invocation():
            return [1, {}, message.invocation_id, message.target, message.arguments, message.stream_ids]
        case messages.StreamItem():
            return [2, {}, message.invocation_id, message.item]
        case messages.Completion(error=str()):
            return [3, {}, message.invocation_id, _ERROR, message.error]
        case messages.Completion(result=msgspec.UNSET):
            return [3, {}, message.invocation_id, _VOID]
        case messages.Completion():
            return [3, {}, message.invocation_id, _RESULT, message.result]
        case messages.StreamInvocation():
            return [4, {}, message.invocation_id, message.target, message.arguments, message.stream_ids]
        case messages.CancelInvocation():
            return [5, {}, message.invocation_id]
        case messages.Ping():
            return [6]
        case _:
            return [7, message.error, message.allow_reconnect]
