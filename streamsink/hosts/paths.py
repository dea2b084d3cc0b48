"""The paths of the HTTP API, for hosts that have to name them before they can answer them.

``{name}`` stands for one segment, ``{name:path}`` for the rest.
"""

from __future__ import annotations

from typing import Final

__all__ = ["PATHS"]

CREATE_THREAD: Final = "/api/agent/create-thread"
NEGOTIATE: Final = "/api/agent/negotiate"
JOIN: Final = "/api/agent/join-group"
LEAVE: Final = "/api/agent/leave-group"
EVENTS: Final = "/api/agent/threads/{thread_id}/events"
THREAD: Final = "/api/agent/threads/{thread_id}"
RUN: Final = "/api/agents/{agent}/run"
CANCEL: Final = "/api/agents/{agent}/cancel"
APPROVE: Final = "/api/agents/{agent}/approve"
INDEX: Final = "/api/index"
STATIC: Final = "/api/static/{path:path}"
HEALTH: Final = "/api/health"
READY: Final = "/api/ready"
METRICS: Final = "/api/metrics"

PATHS: Final = (
    CREATE_THREAD,
    NEGOTIATE,
    JOIN,
    LEAVE,
    EVENTS,
    THREAD,
    RUN,
    CANCEL,
    APPROVE,
    INDEX,
    STATIC,
    HEALTH,
    READY,
    METRICS,
)
"""Every path of :mod:`streamsink.hosts.assembly`'s API; a test holds the two together."""
