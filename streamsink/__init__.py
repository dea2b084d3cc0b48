"""Agent answers, delivered live to the people who asked for them.

In order, exactly once, to nobody else, over whichever transport the deployment has. See docs/architecture.md.
"""

from __future__ import annotations

from streamsink.core.errors import StreamSinkError
from streamsink.core.identity import Action, Request, User
from streamsink.core.options import PublishOptions
from streamsink.core.publishing import RunPublisher, current_run
from streamsink.core.settings import Settings
from streamsink.core.sink import StreamSink
from streamsink.opening import open_sink
from streamsink.sync import SyncSink

__all__ = [
    "Action",
    "PublishOptions",
    "Request",
    "RunPublisher",
    "Settings",
    "StreamSink",
    "StreamSinkError",
    "SyncSink",
    "User",
    "current_run",
    "open_sink",
]

__version__ = "0.1.0"
