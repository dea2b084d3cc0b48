"""Hub messages: what the two ends of a SignalR connection say to each other.

The values serve every hub protocol; the member names that JSON uses are declared with them. Types 8 and 9
belong to stateful reconnect, which this server never grants.
Source: aspnetcore docs/specs/HubProtocol.md.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec

from streamsink.core.errors import InvalidRequestError

__all__ = [
    "CancelInvocation",
    "Close",
    "Completion",
    "HubMessage",
    "Invocation",
    "Ping",
    "ProtocolError",
    "StreamInvocation",
    "StreamItem",
]

_Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]


class ProtocolError(InvalidRequestError):
    """The other end does not speak the protocol; the connection cannot go on."""

    code = "protocol_error"


class _Message(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, tag_field="type"):
    """Unknown members are ignored. ``headers`` is not even read: some clients put their credentials there."""


class Invocation(_Message, frozen=True, tag=1):
    """A call. With an ``invocation_id`` the caller waits for a :class:`Completion`."""

    target: _Text
    arguments: list[Any]
    invocation_id: _Text | None = None
    stream_ids: list[str] = []


class StreamItem(_Message, frozen=True, tag=2):
    """One item of a stream."""

    invocation_id: _Text
    item: Any


class Completion(_Message, frozen=True, tag=3):
    """The end of a call: a result, an error, or neither.

    Raises:
        ValueError: both.
    """

    invocation_id: _Text
    error: str | None = None
    result: Any | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if self.error is not None and self.result is not msgspec.UNSET:
            raise ValueError("a completion has a result or an error, not both")


class StreamInvocation(_Message, frozen=True, tag=4):
    """A call whose answer is a stream."""

    target: _Text
    arguments: list[Any]
    invocation_id: _Text
    stream_ids: list[str] = []


class CancelInvocation(_Message, frozen=True, tag=5):
    """The caller of a :class:`StreamInvocation` wants no more items."""

    invocation_id: _Text


class Ping(_Message, frozen=True, tag=6):
    """Nothing, to be heard."""


class Close(_Message, frozen=True, tag=7):
    """The last message. ``allow_reconnect`` asks clients with automatic reconnect to come back."""

    error: str | None = None
    allow_reconnect: bool = False


HubMessage: TypeAlias = Invocation | StreamItem | Completion | StreamInvocation | CancelInvocation | Ping | Close
