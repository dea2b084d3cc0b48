"""Errors that only hosts know."""

from __future__ import annotations

from streamsink.core.errors import StreamSinkError

__all__ = ["MethodNotAllowedError", "NoHistoryError", "NotAcceptableError", "WorkersError"]


class NotAcceptableError(StreamSinkError):
    """The answer cannot be given in the form that was asked for."""

    code = "not_acceptable"
    status = 406


class NoHistoryError(StreamSinkError):
    """What was asked for is not kept here."""

    code = "no_history"
    status = 404


class MethodNotAllowedError(StreamSinkError):
    """There is such a path, but not for this method."""

    code = "method_not_allowed"
    status = 405


class WorkersError(StreamSinkError):
    """Worker processes cannot start, or do not stay."""

    code = "workers"
