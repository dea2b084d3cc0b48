"""Which servers a URL means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.backends.redis.cluster import Cluster
from streamsink.backends.redis.single import Single
from streamsink.backends.redis.watched import Watched

if TYPE_CHECKING:
    from streamsink.backends.redis.kinds import Servers

__all__ = ["servers_of"]


def servers_of(url: str, *, timeout_s: float) -> Servers:
    """What ``STREAM_REDIS_URL`` means.

    Args:
        timeout_s: for each exchange with a server.

    Raises:
        SettingsError: nothing.
    """
    kind = url.partition("://")[0].partition("+")[2]
    if kind == "sentinel":
        return Watched(url, timeout_s)
    if kind == "cluster":
        return Cluster(url, timeout_s)
    return Single(url, timeout_s)
