"""The negotiate reply and the rules around it. Sans-IO.

Source: aspnetcore docs/specs/TransportProtocols.md; Azure's hub name pattern.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from streamsink.core.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "EVERY_TRANSPORT",
    "LONG_POLLING",
    "SERVER_SENT_EVENTS",
    "WEB_SOCKETS",
    "TransportOffer",
    "client_url",
    "hub_name",
    "negotiate_error",
    "negotiate_reply",
]

_HUB: Final = re.compile(r"[A-Za-z][A-Za-z0-9_`,.[\]]{0,127}")
_VERSION: Final = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class TransportOffer:
    """A transport that clients may choose, and what it can carry.

    Args:
        name: as the reply has it.
        formats: Text, Binary or both.
        has_kinds: whether what arrives says of itself if it is text or binary.
        needs_pings: whether silence has to be broken; a poll breaks it by itself.
    """

    name: str
    formats: tuple[str, ...]
    has_kinds: bool = False
    needs_pings: bool = True

    def json(self) -> dict[str, Any]:
        """As an element of ``availableTransports``."""
        return {"transport": self.name, "transferFormats": list(self.formats)}


WEB_SOCKETS: Final = TransportOffer("WebSockets", ("Text", "Binary"), has_kinds=True)
SERVER_SENT_EVENTS: Final = TransportOffer("ServerSentEvents", ("Text",))
LONG_POLLING: Final = TransportOffer("LongPolling", ("Text", "Binary"), needs_pings=False)
EVERY_TRANSPORT: Final = (WEB_SOCKETS, SERVER_SENT_EVENTS, LONG_POLLING)


def hub_name(values: Sequence[str]) -> str:
    """The hub that a query names.

    Args:
        values: of all the query's ``hub`` parameters.

    Raises:
        InvalidRequestError: none, several, or not a name.
    """
    if len(values) != 1:
        raise InvalidRequestError("The query must name exactly one hub.")
    if _HUB.fullmatch(values[0]) is None:
        raise InvalidRequestError("The hub name is invalid.")
    return values[0]


def client_url(base_url: str, hub: str) -> str:
    """Where the clients of a hub connect; also what their tokens are for.

    Args:
        base_url: absolute, without a slash at the end.
        hub: a valid name.
    """
    return f"{base_url}/client/?hub={quote(hub, safe='')}"


def negotiate_error(version: str | None) -> str | None:
    """Why this version cannot be served, or None.

    Args:
        version: the query's ``negotiateVersion``; None if absent.
    """
    if version is None:
        return None
    if _VERSION.fullmatch(version) is None:
        return "The client requested a non-integer protocol version."
    if int(version) < 0:
        return f"The client requested version '{int(version)}', but the server does not support this version."
    return None


def negotiate_reply(
    connection_id: str, connection_token: str | None, transports: Sequence[TransportOffer]
) -> dict[str, Any]:
    """The JSON of a successful negotiate. Stateful reconnect is never granted: unasked, clients give up.

    Args:
        connection_id: public.
        connection_token: the secret that connects, for version 1; None is version 0, where the id connects.
        transports: in order of preference.
    """
    offered = [offer.json() for offer in transports]
    if connection_token is None:
        return {"negotiateVersion": 0, "connectionId": connection_id, "availableTransports": offered}
    return {
        "negotiateVersion": 1,
        "connectionId": connection_id,
        "connectionToken": connection_token,
        "availableTransports": offered,
    }
