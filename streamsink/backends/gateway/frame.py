"""What a transport sends in one piece, and what turns events and messages into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from streamsink.backends.gateway.websocket_frames import BINARY, TEXT, data_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from streamsink.backends.gateway.messages import HubMessage
    from streamsink.core.events import Event

__all__ = ["Decoder", "Frame", "Frames", "HubProtocol", "binary_frame", "text_frame"]


class Frame(msgspec.Struct, eq=False, gc=False):
    """One or more whole hub messages, encoded. The same object goes to every member of a group.

    Args:
        payload: the bytes.
        is_text: whether it travels as text (a WebSocket text frame).
        wire: the payload as one WebSocket frame.
        is_mergeable: whether a transport may join it with its neighbours into one transport message.
    """

    payload: bytes
    is_text: bool
    wire: bytes
    is_mergeable: bool = True
    _text: str | None = None

    def __len__(self) -> int:
        return len(self.payload)

    def __repr__(self) -> str:
        return f"<Frame {len(self.payload)} bytes>"

    @property
    def text(self) -> str:
        """The payload as text, decoded once for all members."""
        if self._text is None:
            self._text = self.payload.decode()
        return self._text


def text_frame(payload: bytes, is_mergeable: bool = True) -> Frame:
    """UTF-8. Its WebSocket frame is made at once: nearly all members need it, and looking for it later costs more."""
    return Frame(payload, True, data_frame(payload, TEXT), is_mergeable)


def binary_frame(payload: bytes) -> Frame:
    """Bytes that are no text."""
    return Frame(payload, False, data_frame(payload, BINARY))


class Frames(dict["HubProtocol", Frame]):
    """The frame of each protocol, made when the first member that speaks it needs it.

    Args:
        encode: makes it.
    """

    def __init__(self, encode: Callable[[HubProtocol], Frame]) -> None:
        self._encode = encode

    def __missing__(self, protocol: HubProtocol) -> Frame:
        frame = self[protocol] = self._encode(protocol)
        return frame


class Decoder(Protocol):
    """The receiving half of a hub protocol, for one connection."""

    def feed(self, data: bytes) -> Iterator[HubMessage]:
        """The messages that ``data`` completes; to be exhausted before the next call.

        Raises:
            ProtocolError: out of the iterator, after the good messages. Nothing may follow.
        """
        ...


class HubProtocol(Protocol):
    """A way to write hub messages: JSON, and whatever else clients may ask for in their handshake."""

    name: str
    is_text: bool
    ping: Frame

    def decoder(self, max_message_bytes: int) -> Decoder:
        """A decoder that refuses longer messages before parsing them."""
        ...

    def encode(self, message: HubMessage) -> Frame:
        """One message."""
        ...

    def frame(self, batches: Sequence[Iterable[Event]]) -> Frame:
        """One invocation per event, all in one frame.

        Args:
            batches: consecutive events, each at least one.
        """
        ...
