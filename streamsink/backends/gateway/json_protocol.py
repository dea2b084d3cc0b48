"""The JSON hub protocol: UTF-8 objects, each ended by the record separator 0x1E. Sans-IO."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from streamsink.backends.gateway.frame import Frame, text_frame
from streamsink.backends.gateway.json_events import RECORD_SEPARATOR, JsonEvents
from streamsink.backends.gateway.messages import HubMessage, Ping, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from streamsink.core.events import Event

__all__ = ["JSON", "RECORD_SEPARATOR", "JsonDecoder", "JsonProtocol", "decode"]

_KNOWN_TYPES: Final = range(1, 8)


class _AnyMessage(msgspec.Struct):
    type: int


_encode = msgspec.json.Encoder().encode
_decode: Callable[[str], HubMessage] = msgspec.json.Decoder(HubMessage).decode
_decode_type = msgspec.json.Decoder(_AnyMessage).decode


def decode(record: bytes) -> HubMessage | None:
    """One record, without its separator. None: a type that is not known here, to be skipped.

    Raises:
        ProtocolError: it is not a hub message.
    """
    try:
        text = record.decode()  # the parser does not look into members that it skips
        try:
            return _decode(text)
        except msgspec.ValidationError:
            if _decode_type(text).type in _KNOWN_TYPES:
                raise
            return None
    except (ValueError, RecursionError):
        # No cause: its text could quote what the client sent.
        raise ProtocolError("not a hub message") from None


class JsonDecoder:
    """Cuts a stream of bytes into messages, however it was split.

    Args:
        max_message_bytes: of one message, without its separator.
    """

    __slots__ = ("_max_bytes", "_partial")

    def __init__(self, max_message_bytes: int) -> None:
        self._max_bytes = max_message_bytes
        self._partial = bytearray()

    def feed(self, data: bytes) -> Iterator[HubMessage]:
        """See :class:`~streamsink.backends.gateway.frame.Decoder`."""
        *records, rest = data.split(RECORD_SEPARATOR)
        for record in records:
            message = decode(self._complete(record))
            if message is not None:
                yield message
        self._keep(rest)

    def _complete(self, tail: bytes) -> bytes:
        self._keep(tail)
        record = bytes(self._partial)
        self._partial.clear()
        return record

    def _keep(self, part: bytes) -> None:
        if len(self._partial) + len(part) > self._max_bytes:
            raise ProtocolError("the message is too long")
        self._partial += part


_INVOCATION_TAIL: Final = b"]}" + RECORD_SEPARATOR


@lru_cache(maxsize=256)
def _invocation_head(target: str) -> bytes:
    return b'{"type":1,"target":%b,"arguments":[' % _encode(target)


class JsonProtocol:
    """The sending half; stateless."""

    name = "json"
    is_text = True

    def __init__(self) -> None:
        self.ping: Frame = self.encode(Ping())

    def decoder(self, max_message_bytes: int) -> JsonDecoder:
        """A decoder for one connection."""
        return JsonDecoder(max_message_bytes)

    def encode(self, message: HubMessage) -> Frame:
        """One message."""
        return text_frame(_encode(message) + RECORD_SEPARATOR)

    def frame(self, batches: Sequence[Iterable[Event]]) -> Frame:
        """One invocation per event: its JSON between constant bytes, copied once at most."""
        if len(batches) == 1 and type(batches[0]) is JsonEvents:
            return text_frame(batches[0].records)
        parts: list[bytes] = []
        for batch in batches:
            if type(batch) is JsonEvents:
                parts.append(batch.records)
            else:
                for event in batch:
                    parts += (_invocation_head(event.target), event.json, _INVOCATION_TAIL)
        return text_frame(b"".join(parts))


JSON: Final = JsonProtocol()
