"""One client connection as a state machine: handshake → open → closed. Sans-IO.

What came in, and the time, go in; what must be done, in order, comes out: a :class:`Frame` is to be sent,
everything else is news. After :class:`Closed` the transport is to be ended; what is fed in later is ignored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from streamsink.backends.gateway import handshake
from streamsink.backends.gateway.frame import Decoder, Frame, HubProtocol
from streamsink.backends.gateway.json_protocol import JSON
from streamsink.backends.gateway.messagepack_protocol import MESSAGE_PACK
from streamsink.backends.gateway.messages import (
    Close,
    Completion,
    HubMessage,
    Invocation,
    Ping,
    ProtocolError,
    StreamInvocation,
)
from streamsink.backends.gateway.negotiate import WEB_SOCKETS, TransportOffer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["Closed", "Connection", "Limits", "Opened", "Output"]

REFUSED: Final = "the handshake was refused"
BROKEN: Final = "Connection closed with an error."
NO_SUCH_METHOD: Final = "Failed to invoke '{}' due to an error on the server. HubException: Method does not exist."


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one connection: ASP.NET Core's defaults.

    Args:
        handshake_s: from the connect to the end of the handshake.
        ping_s: of own silence before a ping. With a look at the clock every second, 14 keeps it below 15.
        client_s: of the client's silence, once it has pinged.
        max_message_bytes: of one message from the client, and of the handshake.
        max_body_bytes: of one POST, which may hold several messages.
        poll_s: of a poll that nothing answers. The JavaScript client gives up after 100.
        absent_s: without a poll, until a client that polls is taken for gone.
    """

    handshake_s: float = 15.0
    ping_s: float = 14.0
    client_s: float = 30.0
    max_message_bytes: int = 32_768
    max_body_bytes: int = 65_536
    poll_s: float = 90.0
    absent_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Opened:
    """The handshake is over; messages may be sent in this protocol."""

    protocol: HubProtocol
    version: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over. ``error`` says why, None if nothing is wrong."""

    error: str | None = None


Output: TypeAlias = Frame | Opened | Closed | Invocation | StreamInvocation


class Connection:
    """The protocol of one connection.

    Args:
        now: the time of the connect, in seconds of a clock that never goes back.
        limits: None: the usual ones.
        protocols: the hub protocols on offer.
        transport: what carries it.
        methods: the targets whose calls are handed out; all others are answered as unknown.

    Attributes:
        limits: its bounds.
    """

    __slots__ = (
        "_began", "_client_pings", "_decoder", "_heard", "_methods", "_protocol", "_reader", "_said", "_state",
        "_transport", "limits",
    )  # fmt: skip

    def __init__(
        self,
        *,
        now: float,
        limits: Limits | None = None,
        protocols: Sequence[HubProtocol] = (JSON, MESSAGE_PACK),
        transport: TransportOffer = WEB_SOCKETS,
        methods: Collection[str] = frozenset(),
    ) -> None:
        self.limits: Limits = limits or Limits()
        self._methods = methods
        self._transport = transport
        self._reader = handshake.HandshakeReader(
            {protocol.name: protocol for protocol in protocols},
            max_bytes=self.limits.max_message_bytes,
            formats=transport.formats,
        )
        self._state: Literal["handshake", "open", "closed"] = "handshake"
        self._began = self._heard = self._said = now
        self._client_pings = False
        self._protocol: HubProtocol = JSON
        self._decoder: Decoder

    @property
    def is_closed(self) -> bool:
        """Whether it is over."""
        return self._state == "closed"

    @property
    def next_deadline(self) -> float:
        """When :meth:`tick` will next have something to do, at the latest."""
        if self._state == "handshake":
            return self._began + self.limits.handshake_s
        if self._state == "closed" or not self._transport.needs_pings:
            return math.inf
        ping = self._said + self.limits.ping_s
        return min(ping, self._heard + self.limits.client_s) if self._client_pings else ping

    def receive(self, data: str | bytes, now: float) -> list[Output]:
        """Take one transport message; text and binary are told apart by its type."""
        outputs: list[Output] = []
        if self._state == "closed":
            return outputs
        self._heard = now
        try:
            self._read(data, outputs)
        except handshake.HandshakeError as error:
            # What is told to the client may quote it; what is told to us, and logged, does not.
            self._end(outputs, handshake.refusal(str(error)), REFUSED)
        except ProtocolError as error:
            self._end(outputs, self._close_frame(BROKEN, allow_reconnect=True), str(error))
        self._note_sent(outputs, now)
        return outputs

    def tick(self, now: float) -> list[Output]:
        """Do what is due."""
        if now < self.next_deadline:
            return []
        if self._state == "handshake":
            return self.close(handshake.CANCELED)
        if self._client_pings and now >= self._heard + self.limits.client_s:
            return self.close(BROKEN, allow_reconnect=True)
        self._said = now
        return [self._protocol.ping]

    def sent(self, now: float) -> None:
        """Something was sent past this machine, so that no ping is needed."""
        self._said = max(self._said, now)

    def close(self, error: str | None = None, *, allow_reconnect: bool = False) -> list[Output]:
        """End it from this side; during the handshake by refusing that."""
        outputs: list[Output] = []
        if self._state == "handshake":
            self._end(outputs, handshake.refusal(handshake.CANCELED), error)
        elif self._state == "open":
            self._end(outputs, self._close_frame(error, allow_reconnect=allow_reconnect), error)
        return outputs

    def _read(self, data: str | bytes, outputs: list[Output]) -> None:
        # A lone surrogate must not raise here; decoders refuse its bytes like any other bad UTF-8.
        raw = data.encode(errors="surrogatepass") if isinstance(data, str) else data
        if self._state == "handshake":
            agreed = self._reader.feed(raw)
            if agreed is None:
                return
            self._open(agreed, outputs)
            raw = agreed.rest
            if not raw:
                return
        if self._transport.has_kinds and self._protocol.is_text != isinstance(data, str):
            raise ProtocolError(f"the {self._protocol.name} protocol does not travel in this kind of frame")
        for message in self._decoder.feed(raw):
            self._take(message, outputs)
            if self._state == "closed":
                return

    def _open(self, agreed: handshake.Handshake, outputs: list[Output]) -> None:
        self._state = "open"
        del self._reader  # there are many connections
        self._protocol = agreed.protocol
        self._decoder = agreed.protocol.decoder(self.limits.max_message_bytes)
        outputs += (handshake.ACCEPTED, Opened(agreed.protocol, agreed.version))

    def _take(self, message: HubMessage, outputs: list[Output]) -> None:
        if isinstance(message, Ping):
            self._client_pings = True
        elif isinstance(message, Close):
            self._state = "closed"
            outputs.append(Closed())
        elif isinstance(message, Invocation | StreamInvocation):
            self._call(message, outputs)
        # What remains answers or cancels something that was never asked here.

    def _call(self, message: Invocation | StreamInvocation, outputs: list[Output]) -> None:
        if message.target in self._methods:
            outputs.append(message)
        elif message.invocation_id is not None:
            error = NO_SUCH_METHOD.format(message.target)
            outputs.append(self._protocol.encode(Completion(message.invocation_id, error=error)))

    def _close_frame(self, error: str | None, *, allow_reconnect: bool) -> Frame:
        return self._protocol.encode(Close(error=error, allow_reconnect=allow_reconnect))

    def _end(self, outputs: list[Output], last: Frame, error: str | None) -> None:
        self._state = "closed"
        outputs += (last, Closed(error))

    def _note_sent(self, outputs: list[Output], now: float) -> None:
        if any(isinstance(output, Frame) for output in outputs):
            self._said = now
