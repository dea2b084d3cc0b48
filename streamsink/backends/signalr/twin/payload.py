"""The body of a send, and the tokens of pages. Sans-IO.

Source: ``PayloadMessage`` of the swagger; .NET's SDK writes its names with capitals.
"""

from __future__ import annotations

import base64
import binascii
from email.message import Message
from typing import Any, Final

import msgspec

from streamsink.backends.gateway.messages import Invocation
from streamsink.backends.signalr.twin.problems import INVALID_REQUEST, ServiceError

__all__ = ["MAX_BODY_BYTES", "MAX_HEADER_BYTES", "invalid", "next_token", "read_payload", "token_place"]

MAX_BODY_BYTES: Final = 1_048_576
MAX_HEADER_BYTES: Final = 16_384


def invalid(message: str) -> ServiceError:
    """A bad request."""
    return ServiceError(400, INVALID_REQUEST, message)


def read_payload(content_type: str, body: bytes) -> Invocation:
    """The call that a body describes.

    Raises:
        ServiceError: 415, not JSON; 400, not that JSON.
    """
    _check_json(content_type)
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise invalid("The body is not JSON.") from None
    if not isinstance(found, dict):
        raise invalid("The body is not a JSON object.")
    members: dict[str, Any] = {str(name).lower(): value for name, value in found.items()}
    target, arguments = members.get("target"), members.get("arguments")
    if not isinstance(target, str) or not target:
        raise invalid("The target is required.")
    if arguments is not None and not isinstance(arguments, list):
        raise invalid("The arguments are not a list.")
    return Invocation(target, arguments or [])


def _check_json(content_type: str) -> None:
    message = Message()
    message["content-type"] = content_type
    charset = message.get_param("charset", "utf-8")
    is_json = content_type and message.get_content_type() == "application/json"
    if not is_json or str(charset).lower() not in ("utf-8", "utf8"):
        # Azure also takes MessagePack and prepared frames; nothing that this twin is for sends them.
        raise ServiceError(415, INVALID_REQUEST, "The content type should be application/json; charset=utf-8.")


def next_token(connection_id: str) -> str:
    """The continuation token of a page that ends with this connection."""
    return base64.urlsafe_b64encode(connection_id.encode()).decode().rstrip("=")


def token_place(token: str) -> str:
    """The connection that a page ended with.

    Raises:
        ServiceError: it is no token of ours.
    """
    try:
        place = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, ValueError):
        place = ""
    if not place or next_token(place) != token:
        raise invalid("The continuation token is invalid.")
    return place
