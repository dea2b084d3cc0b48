"""What redis-py and TLS raise, as ours."""

from __future__ import annotations

import ssl
from typing import Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from streamsink.core.errors import UnavailableError

__all__ = ["as_ours", "tls_failure"]

# The first that an error is one of counts.
_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (AuthenticationError, "Redis refused the user or the password in STREAM_REDIS_URL"),
    (AuthorizationError, "Redis refused the user or the password in STREAM_REDIS_URL"),
    (NoPermissionError, "the user in STREAM_REDIS_URL may not do this; docs/redis.md has the rules it needs"),
    (BusyLoadingError, "Redis is loading its data"),
    (ReadOnlyError, "this Redis is a read-only replica; STREAM_REDIS_URL should name the master"),
    (OutOfMemoryError, "Redis is full (maxmemory)"),
    (TimeoutError, "Redis did not answer in time"),
    (RedisTimeoutError, "Redis did not answer in time"),
    (ClusterDownError, "the Redis cluster has slots without a master"),
    (MovedError, "this Redis is one of a cluster; STREAM_REDIS_URL should begin with redis+cluster://"),
    (AskError, "a slot of the Redis cluster is being moved"),
    (TryAgainError, "a slot of the Redis cluster is being moved"),
    (ResponseError, "Redis refused the call"),
)


def as_ours(error: Exception) -> UnavailableError:
    """Says why, with what was raised as its cause.

    Errors of foreign origin may quote keys and values: only their first word is told.
    """
    ours = UnavailableError(_reason(error))
    ours.__cause__ = error
    return ours


def _reason(error: Exception) -> str:
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return f"{reason} ({str(error).partition(' ')[0][:32]})" if kind is ResponseError else reason
    return tls_failure(error) or "Redis cannot be reached"


def tls_failure(error: BaseException | None) -> str | None:
    """What to say of an error that TLS caused, at whatever remove; None: another thing caused it."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return None if error is None else f"TLS with Redis failed ({error.reason})"
