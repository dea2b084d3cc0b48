"""The MessagePack hub protocol: arrays, each after its length as a varint. Sans-IO.

Source: aspnetcore docs/specs/HubProtocol.md, "MessagePack (MsgPack) encoding".
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import msgspec

from streamsink.backends.gateway.frame import Frame, binary_frame
from streamsink.backends.gateway.messagepack_arrays import decode, encode
from streamsink.backends.gateway.messages import HubMessage, Ping, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from streamsink.core.events import Event

__all__ = ["MESSAGE_PACK", "MessagePackDecoder", "MessagePackProtocol", "with_length"]

_MAX_LENGTH_BYTES: Final = 5
_MIN_INTEGER: Final = -(2**63)
_MAX_INTEGER: Final = 2**64 - 1

_encode = msgspec.msgpack.Encoder().encode


def with_length(body: bytes) -> bytes:
    """A message ready to travel: seven bits of its length per byte, the lowest first."""
    head, left = bytearray(), len(body)
    while left > 0x7F:
        head.append(left & 0x7F | 0x80)
        left >>= 7
    head.append(left)
    return bytes(head) + body


class MessagePackDecoder:
    """Cuts a stream of bytes into messages, however it was split.

    Args:
        max_message_bytes: of one message, without its length.
    """

    __slots__ = ("_max_bytes", "_partial")

    def __init__(self, max_message_bytes: int) -> None:
        self._max_bytes = max_message_bytes
        self._partial = bytearray()

    def feed(self, data: bytes) -> Iterator[HubMessage]:
        """See :class:`~streamsink.backends.gateway.frame.Decoder`."""
        self._partial += data
        start = 0
        while (span := self._span(start)) is not None:
            begin, start = span
            message = decode(bytes(self._partial[begin:start]))
            if message is not None:
                yield message
        del self._partial[:start]

    def _span(self, start: int) -> tuple[int, int] | None:
        """Where the message whose length begins at ``start`` begins and ends; None while it is incomplete."""
        length = 0
        for index, byte in enumerate(self._partial[start : start + _MAX_LENGTH_BYTES]):
            length |= (byte & 0x7F) << 7 * index
            if byte <= 0x7F:
                begin = start + index + 1
                self._check(length)
                return (begin, begin + length) if begin + length <= len(self._partial) else None
        if len(self._partial) - start >= _MAX_LENGTH_BYTES:
            raise ProtocolError("not the length of a message")
        return None

    def _check(self, length: int) -> None:
        if length == 0:
            raise ProtocolError("the message is empty")
        if length > self._max_bytes:
            raise ProtocolError("the message is too long")


def _argument(event: Event) -> bytes:
    value = msgspec.json.decode(event.json)
    try:
        return _encode(value)
    except OverflowError:  # JSON knows larger integers
        return _encode(_narrow(value))


def _narrow(value: Any) -> Any:
    """The same value; what MessagePack has no integer for becomes the nearest float, as in JavaScript."""
    if isinstance(value, dict):
        return {name: _narrow(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_narrow(item) for item in value]
    if isinstance(value, int) and not _MIN_INTEGER <= value <= _MAX_INTEGER:
        return float(str(value))  # unlike float(value), infinite where it is out of range
    return value


@lru_cache(maxsize=256)
def _invocation_head(target: str) -> bytes:
    return b"\x96\x01\x80\xc0%b\x91" % _encode(target)


class MessagePackProtocol:
    """The sending half; stateless."""

    name = "messagepack"
    is_text = False

    def __init__(self) -> None:
        self.ping: Frame = self.encode(Ping())

    def decoder(self, max_message_bytes: int) -> MessagePackDecoder:
        """A decoder for one connection."""
        return MessagePackDecoder(max_message_bytes)

    def encode(self, message: HubMessage) -> Frame:
        """One message."""
        return binary_frame(with_length(encode(message)))

    def frame(self, batches: Sequence[Iterable[Event]]) -> Frame:
        """One invocation per event; their JSON is parsed once here, whatever the number of members."""
        events = chain.from_iterable(batches)
        arrays = (b"%b%b\x90" % (_invocation_head(event.target), _argument(event)) for event in events)
        return binary_frame(b"".join(map(with_length, arrays)))


MESSAGE_PACK: Final = MessagePackProtocol()
