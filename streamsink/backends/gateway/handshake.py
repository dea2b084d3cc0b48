"""The handshake: the client names its hub protocol, the server agrees or says why not. Sans-IO.

It is JSON text ended by 0x1E whatever protocol it names, in a text or a binary frame; hub messages may follow
in the same packet. Source: aspnetcore docs/specs/HubProtocol.md, "Handshake"; texts of ASP.NET Core's server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from streamsink.backends.gateway.frame import Frame, HubProtocol, text_frame
from streamsink.backends.gateway.messages import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["ACCEPTED", "CANCELED", "Handshake", "HandshakeError", "HandshakeReader", "refusal"]

CANCELED: Final = "Handshake was canceled."
MALFORMED: Final = "An unexpected error occurred during connection handshake."

# Not merged: some clients expect the reply to be a transport message of its own.
ACCEPTED: Final = text_frame(b"{}\x1e", is_mergeable=False)

_VERSIONS: Final = (0, 1, 2)  # ASP.NET Core since .NET 8; signalrcore sends 0, stateful clients 2


class HandshakeError(ProtocolError):
    """The handshake is refused; the text is sent to the client."""


class _Request(msgspec.Struct):
    protocol: str
    version: int


@dataclass(frozen=True, slots=True)
class Handshake:
    """What was agreed, and the bytes that came after it in the same packet."""

    protocol: HubProtocol
    version: int
    rest: bytes


def refusal(text: str) -> Frame:
    """The reply that refuses a handshake."""
    return text_frame(msgspec.json.encode({"error": text}) + b"\x1e", is_mergeable=False)


class HandshakeReader:
    """Collects the handshake, however it was split.

    Args:
        protocols: those on offer, by name.
        max_bytes: of the handshake, without its separator.
        formats: what the transport can carry: Text, Binary or both.
    """

    __slots__ = ("_buffer", "_formats", "_max_bytes", "_protocols")

    def __init__(
        self,
        protocols: Mapping[str, HubProtocol],
        *,
        max_bytes: int,
        formats: Collection[str] = ("Text", "Binary"),
    ) -> None:
        self._protocols = protocols
        self._formats = formats
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Handshake | None:
        """What was agreed, or None while it is incomplete.

        Raises:
            HandshakeError: nothing may follow.
        """
        head, separator, rest = data.partition(b"\x1e")
        if len(self._buffer) + len(head) > self._max_bytes:
            raise HandshakeError(CANCELED)
        self._buffer += head
        if not separator:
            return None
        request = _parse(bytes(self._buffer))
        return Handshake(self._agree(request), request.version, rest)

    def _agree(self, request: _Request) -> HubProtocol:
        protocol = self._protocols.get(request.protocol)
        if protocol is None:
            raise HandshakeError(f"The protocol '{request.protocol}' is not supported.")
        wanted = "Text" if protocol.is_text else "Binary"
        if wanted not in self._formats:
            raise HandshakeError(
                f"Cannot use the '{protocol.name}' protocol on the current transport. "
                f"The transport does not support '{wanted}' transfer format."
            )
        if request.version not in _VERSIONS:
            raise HandshakeError(
                f"The server does not support version {request.version} of the '{protocol.name}' protocol."
            )
        return protocol


def _parse(record: bytes) -> _Request:
    try:
        return msgspec.json.decode(record.decode(), type=_Request)
    except (ValueError, RecursionError):
        raise HandshakeError(MALFORMED) from None
