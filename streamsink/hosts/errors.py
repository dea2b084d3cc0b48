"""Errors that only hosts know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.core.errors import StreamSinkError

if TYPE_CHECKING:
    from collections.abc import Collection

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
    """There is such a path, but not for this method.

    Args:
        allowed: the methods that there are; answers name them (RFC 9110, section 15.5.6).
    """

    code = "method_not_allowed"
    status = 405

    def __init__(self, allowed: Collection[str]) -> None:
        super().__init__("there is such a path, but not for this method")
        self.allowed: frozenset[str] = frozenset(allowed)


class WorkersError(StreamSinkError):
    """Worker processes cannot start, or do not stay."""

    code = "workers"
