"""What redis-py raises is told in our words, and never in those of a server."""

from __future__ import annotations

import pytest
from redis import exceptions as theirs

from streamsink.backends.redis.errors import as_ours


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (theirs.AuthenticationError("WRONGPASS secret"), "the user or the password in STREAM_REDIS_URL"),
        (theirs.AuthorizationError("secret"), "the user or the password in STREAM_REDIS_URL"),
        (theirs.NoPermissionError("NOPERM secret"), "may not do this; docs/redis.md"),
        (theirs.BusyLoadingError("LOADING secret"), "is loading its data"),
        (theirs.ReadOnlyError("READONLY secret"), "a read-only replica"),
        (theirs.OutOfMemoryError("OOM secret"), "is full"),
        (TimeoutError("secret"), "did not answer in time"),
        (theirs.TimeoutError("secret"), "did not answer in time"),
        (theirs.ClusterDownError("CLUSTERDOWN secret"), "slots without a master"),
        (theirs.MovedError("1 secret:6379"), "should begin with redis+cluster://"),
        (theirs.AskError("1 secret:6379"), "is being moved"),
        (theirs.TryAgainError("TRYAGAIN secret"), "is being moved"),
        (theirs.ResponseError("WRONGTYPE secret"), "refused the call (WRONGTYPE)"),
        (theirs.ResponseError("x" * 100 + " secret"), f"refused the call ({'x' * 32})"),
        (theirs.ConnectionError("secret"), "cannot be reached"),
        (OSError("secret"), "cannot be reached"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_says_what_it_means(error: Exception, reason: str) -> None:
    ours = as_ours(error)

    assert reason in str(ours)
    assert "secret" not in str(ours)
    assert ours.__cause__ is error
