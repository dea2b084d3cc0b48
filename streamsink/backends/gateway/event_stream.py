"""One client connection on Server-Sent Events: a stream to the client, POSTs from it.

Source: aspnetcore docs/specs/TransportProtocols.md, "Server-Sent Events".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from streamsink.backends.gateway.negotiate import SERVER_SENT_EVENTS
from streamsink.backends.gateway.outbox import Outbox
from streamsink.backends.gateway.session import Receive, StreamSession

if TYPE_CHECKING:
    from streamsink.backends.gateway.frame import Frame

__all__ = ["FIRST_BYTES", "HEADERS", "EventStreamSession"]

# Firefox says that a stream is open once something has come.
FIRST_BYTES: Final = b":\r\n"

HEADERS: Final = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache, no-store",
    "content-encoding": "identity",  # nothing on the way may wait in order to compress …
    "x-accel-buffering": "no",  # … or to collect
}

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


class EventStreamOutbox(Outbox):
    """Writes one event per transport message."""

    __slots__ = ()

    def _message(self, frames: list[Frame]) -> dict[str, Any]:
        payload = b"".join([frame.payload for frame in frames])
        if b"\n" in payload or b"\r" in payload:  # only JSON that somebody else has laid out
            payload = _LINE_END.sub(b"\r\ndata: ", payload)
        return {"type": "http.response.body", "body": b"data: %b\r\n\r\n" % payload, "more_body": True}

    def _end(self) -> dict[str, Any]:
        return {"type": "http.response.body", "body": b""}


class EventStreamSession(StreamSession):
    """A response that has begun."""

    transport = SERVER_SENT_EVENTS
    outbox = EventStreamOutbox

    async def _read(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass  # the request's empty body
