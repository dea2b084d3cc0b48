"""Errors that only HTTP knows."""

from __future__ import annotations

from streamsink.core.errors import StreamSinkError

__all__ = ["MethodNotAllowedError", "NotAcceptableError"]


class NotAcceptableError(StreamSinkError):
    """The answer cannot be given in the form that was asked for."""

    code = "not_acceptable"
    status = 406


class MethodNotAllowedError(StreamSinkError):
    """There is such a path, but not for this method."""

    code = "method_not_allowed"
    status = 405
